from pathlib import Path

import lightning.pytorch as pl
import pytest
import torch
from lightning.pytorch.callbacks import EMAWeightAveraging

from melanoma.models import module
from melanoma.models.averaging import DeviceAveraging
from melanoma.training.fold import train_fold
from tiny_run import tiny_config


class _Looks(DeviceAveraging):
    """Notes where the average and its count are."""

    found: set[tuple[str, str]]

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        assert self._average_model is not None
        devices = {weight.device.type for weight in self._average_model.module.parameters()}
        type(self).found = {(device, self._average_model.n_averaged.device.type)
                            for device in devices}  # fmt: skip


def test_the_average_is_lightnings(
    competition: Path, folds_csv: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    kept = []
    for kind in (EMAWeightAveraging, _Looks):
        monkeypatch.setattr(module, "DeviceAveraging", kind)
        run_dir = f"--run_dir={competition.parent / kind.__name__}"
        config = tiny_config(
            competition, folds_csv, "--model.ema_decay=0.9", "--trainer.max_epochs=1", run_dir
        )
        train_fold(config, 0)
        kept.append(torch.load(config.run_dir / "fold_0" / "last.ckpt", weights_only=True))
    assert _Looks.found == {("cpu", "cpu")}
    for state in ("state_dict", "current_model_state"):
        assert kept[0][state].keys() == kept[1][state].keys()
        assert all(
            torch.equal(kept[0][state][name], kept[1][state][name]) for name in kept[0][state]
        )
