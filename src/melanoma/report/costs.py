"""What folds have cost: time, by phase, and epochs."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import pandas as pd

from melanoma.errors import MelanomaError
from melanoma.run_folder import FoldFolder, RunFolder
from melanoma.tables import read_table

EPOCH = "epoch"


@dataclass(frozen=True)
class FoldCost:
    """Of a finished fold; None for what its `done.json` does not say.

    Attributes:
        fold: Its number.
        auc: Of its validation images.
        epoch: The epoch that predicts, from 1.
        best_epoch: The epoch with the best validation AUC, from 1.
        n_epochs: How many were trained.
        seconds: Wall time of the whole fold.
        predict_seconds: Of it, for predicting the validation images.
        hashes: SHA-256 by file name.
    """

    fold: int
    auc: float | None
    epoch: int | None
    best_epoch: int | None
    n_epochs: int | None
    seconds: float | None
    predict_seconds: float | None
    hashes: dict[str, str]

    @property
    def train_seconds(self) -> float | None:
        """All but the prediction: checks, training and validation."""
        if self.seconds is None or self.predict_seconds is None:
            return None
        return self.seconds - self.predict_seconds

    @property
    def epochs_in_words(self) -> str:
        """The epoch that predicts, of how many."""
        if self.epoch is None:
            return "-"
        return f"{self.epoch}" + (f" of {self.n_epochs}" if self.n_epochs else "")


def fold_costs(run: RunFolder) -> list[FoldCost]:
    """Of the finished folds of a run, in order."""
    return [_fold_cost(run.fold(number)) for number in run.finished_folds()]


def total_seconds(runs: Sequence[RunFolder]) -> float | None:
    """Of all finished folds of all runs, one after the other; None where one does not say."""
    known = [cost.seconds for run in runs for cost in fold_costs(run)]
    return None if None in known else sum(seconds for seconds in known if seconds is not None)


def read_epochs(folder: FoldFolder) -> pd.DataFrame | None:
    """A fold's table of epochs; None where it is missing or cannot be read."""
    try:
        table = read_table(folder.metrics_csv, [EPOCH])
    except MelanomaError:  # a chart less; the report says which
        return None
    numbers = pd.DataFrame({name: pd.to_numeric(table[name], errors="coerce") for name in table})
    return numbers[numbers[EPOCH].notna()]


def _fold_cost(folder: FoldFolder) -> FoldCost:
    done, epochs = folder.read_done(), read_epochs(folder)
    best = _number(done.get("best_epoch"))
    epoch = _number(done.get("epoch", best))  # earlier versions predicted from the best
    files = done.get("files")
    return FoldCost(
        folder.number,
        _number(done.get("auc")),
        None if epoch is None else int(epoch),
        None if best is None else int(best),
        None if epochs is None else len(epochs),
        _number(done.get("seconds")),
        _number(done.get("predict_seconds")),
        {str(name): str(sha) for name, sha in files.items()} if isinstance(files, dict) else {},
    )


def _number(value: Any) -> float | None:
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    return value if is_number else None
