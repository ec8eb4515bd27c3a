from pathlib import Path

import pandas as pd
import pytest
import torch

from melanoma.errors import ConfigError
from melanoma.models.backbones import create_backbone, strides_over_one_pixel
from melanoma.run_folder import RunFolder
from melanoma.training import precision
from melanoma.training.fold import train_fold
from melanoma.training.precision import check_sixteen_bits, choose_precision
from melanoma.training.trainer import create_trainer
from tiny_run import tiny_config


def test_precision_follows_the_device(
    competition: Path, folds_csv: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert choose_precision("tpu", 16) == "bf16-mixed"
    for capability, expected in [((8, 0), "bf16-mixed"), ((7, 5), "16-mixed")]:
        monkeypatch.setattr(torch.cuda, "get_device_capability", lambda c=capability: c)
        assert choose_precision("cuda", 16) == expected
    for has_bf16, expected in [(True, "bf16-mixed"), (False, "32-true")]:
        monkeypatch.setattr(precision, "_processor_multiplies_bf16", lambda h=has_bf16: h)
        assert choose_precision("cpu", 32) == expected
        assert choose_precision("cpu", 31) == "32-true"
        options = ("--trainer.precision=null", "--data.image_size=32")
        config = tiny_config(competition, folds_csv, *options)
        data = config.data_module(0)
        data.setup()
        assert create_trainer(config, 0, data).precision == expected


@pytest.mark.parametrize(
    ("name", "kind", "size_px"),
    [("64-true", torch.float64, 16), ("bf16-true", torch.bfloat16, 64)],
)
def test_weights_of_other_precisions_train_and_predict(
    competition: Path, folds_csv: Path, name: str, kind: torch.dtype, size_px: int
) -> None:
    options = (f"--trainer.precision={name}", f"--data.image_size={size_px}")
    more = ("--trainer.max_epochs=1", "--model.target=diagnosis", "--model.metadata=true")
    config = tiny_config(competition, folds_csv, *options, *more)
    result = train_fold(config, 0)
    assert result is not None
    folder = RunFolder(config.run_dir).fold(0)
    assert pd.read_csv(folder.oof_csv)["prediction"].between(0, 1).all()
    weights = torch.load(folder.best_checkpoint, weights_only=True)["state_dict"]
    assert {weight.dtype for weight in weights.values()} <= {kind, torch.int64}


@pytest.mark.parametrize(
    ("name", "size_px", "is_wrong"),
    # Of the stride of 32, the last half is over a map of size_px / 16 pixels.
    [("resnet10t", 16, True), ("resnet10t", 17, False), ("test_resnet", 16, True)],
)
def test_where_a_network_strides_over_a_single_pixel_is_known(
    name: str, size_px: int, is_wrong: bool
) -> None:
    backbone = create_backbone(name)
    assert strides_over_one_pixel(backbone, size_px) == is_wrong
    for sixteen in ("bf16-mixed", "bf16-true", "16-mixed"):
        options = {"accelerator": "cpu", "precision": sixteen}
        if is_wrong:
            with pytest.raises(ConfigError, match=rf"{sixteen}: at {size_px} .* Choose"):
                check_sixteen_bits(options, backbone, size_px)
        else:
            check_sixteen_bits(options, backbone, size_px)
    for harmless in (None, "32-true", "64-true"):
        check_sixteen_bits({"accelerator": "cpu", "precision": harmless}, backbone, size_px)


def test_in_sixteen_bits_gradients_are_right_where_nothing_strides_over_a_single_pixel() -> None:
    """What the check above relies on, with memory in which no number is left."""
    torch.manual_seed(0)
    for kernel, stride, size in [(3, 1, 1), (1, 2, 1), (3, 2, 2), (3, 2, 3), (3, 1, 2)]:
        for _ in range(10):
            layer = torch.nn.Conv2d(64, 64, kernel, stride, kernel // 2, bias=False)
            with torch.autocast("cpu", torch.bfloat16):
                layer(torch.randn(4, 64, size, size)).float().sum().backward()
            assert layer.weight.grad is not None
            assert layer.weight.grad.isfinite().all()
            del layer
            rubbish = [torch.full((1 << 14,), float("nan")) for _ in range(20)]
            del rubbish
