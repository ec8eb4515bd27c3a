"""Dividing the time of a call: until when folds may train, so that predicting still fits."""

import time
from functools import cached_property
from pathlib import Path

import pandas as pd

from melanoma.command_line import STARTED
from melanoma.run_folder import FoldFolder
from melanoma.tables import IMAGE_NAME, test_csv

# What a process takes to start and to end, on a slow machine.
_START_S = 12.0
_END_S = 4.0
# Until a fold has shown how long predicting takes.
_UNKNOWN_SHARE = 0.05


class TimeBudget:
    """The time that a call may take.

    Args:
        seconds: From the start of the script; None for no limit.
        data_dir: The competition folder.
    """

    def __init__(self, seconds: float | None, data_dir: Path) -> None:
        self.seconds = seconds
        self.deadline = None if seconds is None else STARTED + seconds
        self.data_dir = data_dir

    @cached_property
    def _n_test(self) -> int:
        return _n_rows(test_csv(self.data_dir))

    @property
    def remaining_s(self) -> float | None:
        """Seconds that are left; None for no limit."""
        return None if self.deadline is None else self.deadline - time.monotonic()

    def training_deadline(self, folds: list[FoldFolder]) -> float | None:
        """Until when a fold may train, if these and itself are to be predicted afterwards.

        Judged by how long finished folds took for the photographs that they validate.
        """
        if self.deadline is None or self.seconds is None:
            return None
        if not self._n_test:
            return self.deadline - _END_S
        costs = [cost for fold in folds if (cost := self._predict_s(fold)) is not None]
        known = sum(costs) / len(costs) if costs else _UNKNOWN_SHARE * self.seconds
        return self.deadline - _START_S - _END_S - known * (len(folds) + 1)

    def _predict_s(self, fold: FoldFolder) -> float | None:
        done = fold.read_done() if fold.is_done else {}
        if "predict_seconds" not in done:
            return None
        per_image = float(done["predict_seconds"]) / max(1, _n_rows(fold.oof_csv))
        return per_image * self._n_test


def _n_rows(path: Path) -> int:
    return len(pd.read_csv(path, usecols=[IMAGE_NAME])) if path.is_file() else 0
