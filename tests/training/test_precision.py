from pathlib import Path

import pandas as pd
import pytest
import torch

from melanoma.run_folder import RunFolder
from melanoma.training import precision
from melanoma.training.fold import train_fold
from melanoma.training.precision import choose_precision
from melanoma.training.trainer import create_trainer
from tiny_run import tiny_config


def test_precision_follows_the_device(
    competition: Path, folds_csv: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert choose_precision("tpu") == "bf16-mixed"
    for capability, expected in [((8, 0), "bf16-mixed"), ((7, 5), "16-mixed")]:
        monkeypatch.setattr(torch.cuda, "get_device_capability", lambda c=capability: c)
        assert choose_precision("cuda") == expected
    for has_bf16, expected in [(True, "bf16-mixed"), (False, "32-true")]:
        monkeypatch.setattr(precision, "_processor_multiplies_bf16", lambda h=has_bf16: h)
        assert choose_precision("cpu") == expected
        config = tiny_config(competition, folds_csv, "--trainer.precision=null")
        data = config.data_module(0)
        data.setup()
        assert create_trainer(config, 0, data).precision == expected


@pytest.mark.parametrize(
    ("name", "kind", "size_px"),
    # In 16 bits, oneDNN's gradient of a convolution over a single pixel is now and then no number.
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
