"""What happens around the steps of a fold: its table of epochs and its predictions."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import lightning.pytorch as pl
import pandas as pd
from lightning.pytorch.callbacks import BasePredictionWriter, Callback
from torch import Tensor

from melanoma.errors import RunError, name_some
from melanoma.files import write_table
from melanoma.models.gathering import INDEX, gather_outputs
from melanoma.tables import IMAGE_NAME, PREDICTION


class EpochTable(Callback):
    """Writes `metrics.csv`, a row per epoch, and prints the same as a line.

    Unlike Lightning's CSVLogger it keeps what was there before a resume (its rows travel in the
    checkpoint), leaves no gaps between training and validation columns, and writes atomically.
    """

    def __init__(self, path: Path, title: str) -> None:
        self.path = path
        self.title = title
        self.rows: list[dict[str, float]] = []
        self.validated = False

    def state_dict(self) -> dict[str, Any]:
        """The rows so far, kept in every checkpoint."""
        return {"rows": [dict(row) for row in self.rows]}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Take up the rows of a checkpoint."""
        self.rows = [dict(row) for row in state_dict["rows"]]

    def on_validation_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Note that this epoch was validated: its scores are not an earlier epoch's."""
        self.validated = True

    def on_train_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Add the row of the epoch that ends, before its checkpoint is written, and print it."""
        self.rows.append(_epoch_row(trainer, self.validated))
        self.validated = False
        if trainer.is_global_zero:
            write_table(self.path, pd.DataFrame(self.rows))
            print(f"{self.title} {_as_line(self.rows[-1], trainer.max_epochs)}", flush=True)


class PredictionTables(BasePredictionWriter):
    """Writes a CSV per network that predicts: the rows of its table with their predictions.

    Args:
        tables: Per network, where to write and the rows, in the order of the dataset.
    """

    def __init__(self, tables: Sequence[tuple[Path, pd.DataFrame]]) -> None:
        super().__init__(write_interval="epoch")
        self.tables = tables

    def write_on_epoch_end(
        self,
        trainer: pl.Trainer,
        pl_module: pl.LightningModule,
        predictions: Sequence[Any],
        batch_indices: Sequence[Any],
    ) -> None:
        """Gather the predictions of all devices, check that none is missing, and write.

        Raises:
            RunError: If an image has no prediction, as when the number of batches was limited.
        """
        gathered = gather_outputs(pl_module, predictions)
        if not trainer.is_global_zero:
            return
        per_network = gathered[PREDICTION].reshape(len(gathered[INDEX]), -1).T
        for (path, rows), prediction in zip(self.tables, per_network, strict=True):
            _write_predictions(path, rows, pd.Series(prediction, index=gathered[INDEX]))


def _write_predictions(path: Path, rows: pd.DataFrame, by_row: "pd.Series[float]") -> None:
    missing = rows.loc[~rows.index.isin(by_row.index), IMAGE_NAME]
    if len(missing):
        raise RunError(
            f"{path}: no prediction for {name_some(missing)}. Do not limit the batches of prediction "
            "(--trainer.limit_predict_batches)."
        )
    write_table(path, rows.assign(**{PREDICTION: by_row.reindex(rows.index).astype("float64")}))


def _epoch_row(trainer: pl.Trainer, validated: bool) -> dict[str, float]:
    metrics: Mapping[str, Tensor] = trainer.callback_metrics
    scores = ["train_loss", *(["val_loss", "val_auc"] if validated else [])]
    return {
        "epoch": trainer.current_epoch,
        "step": trainer.global_step,
        "learning_rate": float(trainer.optimizers[0].param_groups[0]["lr"]),
        **{name: round(float(metrics[name]), 6) for name in scores if name in metrics},
    }


def _as_line(row: dict[str, float], max_epochs: int | None) -> str:
    epoch = f"epoch {row['epoch'] + 1:.0f}" + (f"/{max_epochs}" if max_epochs else "")
    scores = "  ".join(
        f"{name} {row[name]:.4f}" for name in ("train_loss", "val_loss", "val_auc") if name in row
    )
    return f"{epoch}  {scores}"
