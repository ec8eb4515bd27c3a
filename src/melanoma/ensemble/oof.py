"""A run's out-of-fold predictions: its folds' tables joined, and checked against its folds."""

from pathlib import Path

import numpy as np
import pandas as pd

from melanoma.ensemble.alignment import positions_of
from melanoma.errors import TableError, name_some
from melanoma.run_folder import RunFolder
from melanoma.tables import (
    FOLD,
    IMAGE_NAME,
    OOF_COLUMNS,
    PREDICTION,
    TARGET,
    check_probabilities,
    read_table,
)

_REMEDY = "Train that fold again with --overwrite."


def read_oof(run: RunFolder, train: pd.DataFrame) -> pd.DataFrame:
    """Join a run's out-of-fold predictions and check them against its tables.

    Args:
        run: The run, all its folds finished.
        train: As `read_folds` gives it.

    Returns:
        The columns of `oof.csv`, a row per row of `train`, in its order.

    Raises:
        RunError: If a fold is not finished.
        TableError: If an image is missing, twice, in another fold than folds.csv says or with
            another target, or a prediction is not a number in [0, 1].
    """
    numbers = sorted(int(fold) for fold in train[FOLD].unique())
    run.check_finished(numbers)
    parts = [
        _read_fold(run.fold(number).oof_csv, train[train[FOLD] == number]) for number in numbers
    ]
    return pd.concat(parts).sort_index()


def _read_fold(path: Path, expected: pd.DataFrame) -> pd.DataFrame:
    part = read_table(path, OOF_COLUMNS)
    part = part.iloc[positions_of(expected[IMAGE_NAME], part, path, "this fold", _REMEDY)]
    check_probabilities(part, PREDICTION, path)
    for column in (FOLD, TARGET):
        differing = part[IMAGE_NAME][part[column].to_numpy() != expected[column].to_numpy()]
        if len(differing):
            raise TableError(
                f"{path}: {column} of {name_some(differing)} differs from the tables'. {_REMEDY}"
            )
    return part[OOF_COLUMNS].set_index(expected.index).astype({PREDICTION: np.float64})
