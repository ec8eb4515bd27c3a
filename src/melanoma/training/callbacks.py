"""What happens around the steps of a fold: its table of epochs and its predictions."""

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import lightning.pytorch as pl
import pandas as pd
import torch
from lightning.pytorch.callbacks import BasePredictionWriter, Callback, Checkpoint
from torch import Tensor

from melanoma.errors import RunError, name_some
from melanoma.files import write_table
from melanoma.models.gathering import INDEX, gather_outputs
from melanoma.tables import IMAGE_NAME, PREDICTION

_ROUNDED = ("train_loss", "val_loss", "val_auc")


def loss_of(outputs: Tensor | Mapping[str, Any] | None) -> Tensor | None:
    """The loss of a step, shape (), in what Lightning passes on of it; None if it was skipped."""
    return outputs["loss"] if isinstance(outputs, Mapping) else outputs


class EpochTable(Callback):
    """Writes `metrics.csv`, a row per epoch, and prints the same as a line.

    Unlike Lightning's CSVLogger it keeps what was there before a resume (its rows, and what is known
    of the epoch that runs, travel in the checkpoint), leaves no gaps between training and validation
    columns, and writes atomically. Of several validations in an epoch its row has the best.

    Args:
        path: Of the table.
        title: Of the lines that are printed.
    """

    def __init__(self, path: Path, title: str) -> None:
        self.path = path
        self.title = title
        self.rows: list[dict[str, float]] = []
        self._scores: dict[str, float] = {}
        self._n = 0  # photographs that were trained on in this epoch
        self._loss: Tensor | float = 0.0  # the sum of theirs, where the network is
        self._trainer: pl.Trainer | None = None

    def setup(self, trainer: pl.Trainer, pl_module: pl.LightningModule, stage: str) -> None:
        """Know the devices whose losses are put together."""
        self._trainer = trainer

    def state_dict(self) -> dict[str, Any]:
        """The rows so far, and what is known of the running epoch, kept in every checkpoint."""
        n, loss = self._over_all_devices()
        rows = [dict(row) for row in self.rows]
        return {"rows": rows, "scores": dict(self._scores), "n": n, "loss": loss}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Take up what a checkpoint knows; of one that was written before it knew more, the rows."""
        self.rows = [dict(row) for row in state_dict["rows"]]
        self._scores = dict(state_dict.get("scores", {}))
        if self._trainer is None or self._trainer.is_global_zero:  # which has those of all devices
            self._n, self._loss = state_dict.get("n", 0), state_dict.get("loss", 0.0)

    def on_train_batch_end(
        self,
        trainer: pl.Trainer,
        pl_module: pl.LightningModule,
        outputs: Any,
        batch: Any,
        batch_idx: int,
    ) -> None:
        """Add the loss of a batch; no step waits for it."""
        loss = loss_of(outputs)
        if loss is not None:
            n = len(batch[INDEX])
            # Lightning has divided it for the accumulation.
            self._loss = self._loss + loss.detach() * (n * trainer.accumulate_grad_batches)
            self._n += n

    def on_validation_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Note the scores, unless another validation of this epoch had a better AUC."""
        if trainer.sanity_checking:
            return
        names = ("val_loss", "val_auc")
        found = {
            n: float(trainer.callback_metrics[n]) for n in names if n in trainer.callback_metrics
        }
        best = self._scores.get("val_auc", math.nan)
        if math.isnan(best) or found.get("val_auc", math.nan) > best:
            self._scores = found

    def on_train_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Add the row of the epoch that ends, before its checkpoint is written, and print it."""
        n, loss = self._over_all_devices()
        row = {
            "epoch": trainer.current_epoch,
            "step": trainer.global_step,
            "learning_rate": float(trainer.optimizers[0].param_groups[0]["lr"]),
            **({"train_loss": loss / n} if n else {}),
            **self._scores,
        }
        self.rows.append(row)
        self._scores, self._n, self._loss = {}, 0, 0.0
        if trainer.is_global_zero:
            table = pd.DataFrame(self.rows)
            write_table(self.path, table.round(dict.fromkeys(_ROUNDED, 6)))
            print(f"{self.title} {_as_line(row, trainer.max_epochs)}", flush=True)

    @property
    def epochs_since_best(self) -> int:
        """How many epochs before the last validated one that with the best AUC lies."""
        validated = [row for row in self.rows if not math.isnan(row.get("val_auc", math.nan))]
        if not validated:
            return 0
        best = max(validated, key=lambda row: row["val_auc"])
        return int(validated[-1]["epoch"] - best["epoch"])

    def _over_all_devices(self) -> tuple[int, float]:
        n, loss = float(self._n), float(self._loss)
        if self._trainer is None or self._trainer.world_size == 1:
            return int(n), loss
        strategy = self._trainer.strategy
        sums = strategy.reduce(
            torch.tensor([n, loss], device=strategy.root_device), reduce_op="sum"
        )
        return int(sums[0]), float(sums[1])


class AfterOthers(Callback):
    """Comes after the callbacks of the module, such as the averaging of weights, too."""

    def setup(self, trainer: pl.Trainer, pl_module: pl.LightningModule, stage: str) -> None:
        """Go behind all others but the checkpoints, which Lightning puts last."""
        listed: list[Callback] = trainer.callbacks  # type: ignore[attr-defined]
        others = [callback for callback in listed if callback is not self]
        saves = [isinstance(callback, Checkpoint) for callback in others]
        place = saves.index(True) if any(saves) else len(others)
        # A new list: Lightning is going through this one.
        trainer.callbacks = [*others[:place], self, *others[place:]]  # type: ignore[attr-defined]


class LastValidation(Callback):
    """Validates where `max_steps` ends a training within an epoch: Lightning would not."""

    def on_train_batch_end(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, *step: Any
    ) -> None:
        """Bring the validation forward to the last step."""
        loop = trainer.fit_loop.epoch_loop
        if trainer.max_steps != -1 and trainer.global_step >= trainer.max_steps:
            counts_on = trainer.check_val_every_n_epoch is None
            if not counts_on:
                trainer.check_val_every_n_epoch = 1  # this epoch, too
            trainer.val_check_batch = 1 + (loop.total_batch_idx if counts_on else loop.batch_idx)


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


def _as_line(row: dict[str, float], max_epochs: int | None) -> str:
    epoch = f"epoch {row['epoch'] + 1:.0f}" + (f"/{max_epochs}" if (max_epochs or 0) > 0 else "")
    scores = "  ".join(f"{name} {row[name]:.4f}" for name in _ROUNDED if name in row)
    return f"{epoch}  {scores}"
