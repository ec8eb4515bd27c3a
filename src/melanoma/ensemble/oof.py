"""Joining the folds' out-of-fold predictions, and what they are worth."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from melanoma.errors import TableError, name_some
from melanoma.folds.files import read_folds
from melanoma.metrics import auc
from melanoma.run_folder import RunFolder
from melanoma.tables import FOLD, IMAGE_NAME, OOF_COLUMNS, PREDICTION, TARGET, read_predictions


@dataclass(frozen=True)
class Scores:
    """Areas under the ROC curve, in [0, 1], of out-of-fold predictions.

    Attributes:
        fold_aucs: Of each fold's images alone, by fold number.
        pooled_auc: Of all images together, ranked in one list. It is lower than the mean where the
            folds' networks are not calibrated alike, and it is what a test set is scored by.
    """

    fold_aucs: dict[int, float]
    pooled_auc: float

    @property
    def mean_auc(self) -> float:
        """The mean over folds, which says nothing about how they compare with each other."""
        return float(np.mean(list(self.fold_aucs.values())))

    def as_text(self) -> str:
        """A table for the terminal."""
        lines = [f"fold {fold}       {score:.4f}" for fold, score in self.fold_aucs.items()]
        return "\n".join(
            [*lines, f"mean of folds {self.mean_auc:.4f}", f"pooled       {self.pooled_auc:.4f}"]
        )


def read_oof(
    run: RunFolder, data_dir: Path, folds_csv: Path, fold_column: str = FOLD
) -> pd.DataFrame:
    """Join a run's out-of-fold predictions and check them against its tables.

    Returns:
        The columns of `oof.csv`, a row per image of train.csv that is in a fold, in its order.

    Raises:
        RunError: If a fold is not finished.
        TableError: If an image is missing, twice, in another fold than folds.csv says or with
            another target, or a prediction is not a number in [0, 1].
    """
    train = read_folds(folds_csv, data_dir, fold_column)
    numbers = sorted(int(fold) for fold in train[FOLD].unique())
    run.check_finished(numbers)
    parts = []
    for number in numbers:
        path = run.fold(number).oof_csv
        part = read_predictions(path, OOF_COLUMNS)
        _check_fold_rows(part, train[train[FOLD] == number], path)
        parts.append(part[OOF_COLUMNS])
    joined = pd.concat(parts).set_index(IMAGE_NAME)
    return joined.loc[train[IMAGE_NAME]].reset_index()[OOF_COLUMNS]


def score_oof(oof: pd.DataFrame) -> Scores:
    """The scores of a table of out-of-fold predictions.

    Args:
        oof: Columns fold, target and prediction; both classes in every fold.
    """
    by_fold = oof.groupby(FOLD)
    return Scores(
        fold_aucs={int(str(k)): auc(rows[TARGET], rows[PREDICTION]) for k, rows in by_fold},
        pooled_auc=auc(oof[TARGET], oof[PREDICTION]),
    )


def _check_fold_rows(part: pd.DataFrame, expected: pd.DataFrame, path: Path) -> None:
    remedy = "Train that fold again with --overwrite."
    known = expected.set_index(IMAGE_NAME)
    missing = expected.loc[~expected[IMAGE_NAME].isin(part[IMAGE_NAME]), IMAGE_NAME]
    if len(missing):
        raise TableError(f"{path}: no prediction for {name_some(missing)}. {remedy}")
    foreign = part.loc[~part[IMAGE_NAME].isin(known.index), IMAGE_NAME]
    if len(foreign):
        raise TableError(f"{path}: {name_some(foreign)} not in this fold. {remedy}")
    aligned = known.loc[part[IMAGE_NAME]]
    for column in (FOLD, TARGET):
        differing = part.loc[(part[column].to_numpy() != aligned[column].to_numpy()), IMAGE_NAME]
        if len(differing):
            raise TableError(
                f"{path}: {column} of {name_some(differing)} differs from the tables'. {remedy}"
            )
