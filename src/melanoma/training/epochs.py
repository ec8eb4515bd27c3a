"""Keeping the validation predictions of every epoch while a fold trains."""

from pathlib import Path
from typing import Any

import lightning.pytorch as pl
import numpy as np
import torch
from lightning.pytorch.callbacks import Callback
from torch import Tensor

from melanoma.epoch_predictions import EpochPredictions, write_epoch_predictions


class KeepEpochPredictions(Callback):
    """Writes `epochs.npz`: what each validation predicts for each image.

    Every checkpoint holds the predictions so far, so that a resumed fold writes the same file.

    Args:
        path: The file to write.
        n_images: Number of validation images.
    """

    def __init__(self, path: Path, n_images: int) -> None:
        self.path = path
        self._epochs: list[int] = []
        self._steps: list[int] = []
        self._predictions = torch.empty((0, n_images))

    def state_dict(self) -> dict[str, Any]:
        """The predictions so far."""
        return {
            "epochs": list(self._epochs),
            "steps": list(self._steps),
            "predictions": self._predictions,
        }

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Restore the predictions of the epochs before the checkpoint."""
        self._epochs = list(state_dict["epochs"])
        self._steps = list(state_dict["steps"])
        self._predictions = state_dict["predictions"].cpu()

    def on_validation_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Add the predictions of a validation, which the module has gathered from all devices."""
        if trainer.sanity_checking:
            return
        self._epochs.append(trainer.current_epoch)
        self._steps.append(trainer.global_step)
        self._predictions = torch.cat([self._predictions, self._row(pl_module)])

    def on_train_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Write the file before the checkpoint of the epoch is written."""
        if trainer.is_global_zero:
            kept = EpochPredictions(
                np.array(self._epochs, dtype=np.int64),
                np.array(self._steps, dtype=np.int64),
                self._predictions.numpy(),
            )
            write_epoch_predictions(self.path, kept)

    def _row(self, pl_module: pl.LightningModule) -> Tensor:
        row = torch.full((1, self._predictions.shape[1]), torch.nan)
        log_odds: dict[int, float] = pl_module.epoch_log_odds  # type: ignore[assignment]
        places = torch.tensor(list(log_odds), dtype=torch.int64)
        row[0, places] = torch.sigmoid(torch.tensor(list(log_odds.values()), dtype=torch.float32))
        return row
