"""Reading what was made elsewhere: out-of-fold tables, and submissions."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pandas as pd

from melanoma.ensemble.alignment import positions_of
from melanoma.ensemble.sources import Source
from melanoma.errors import ConfigError, TableError, name_some
from melanoma.metrics.checks import Floats
from melanoma.tables import (
    FOLD,
    IMAGE_NAME,
    OOF_COLUMNS,
    PATIENT_ID,
    PREDICTION,
    SUBMISSION_COLUMNS,
    TARGET,
    check_columns,
    check_image_names,
    check_probabilities,
    name_values,
    patients_as_written,
    patients_of,
    read_labelled,
    read_table,
    read_test,
    test_csv,
)

_REMEDY = "Give probabilities, or ranks divided by their number."


def read_oof_table(path: Path) -> Source:
    """Read out-of-fold predictions made elsewhere.

    Args:
        path: A table of image_name, fold, target and prediction, and patient_id where it is known.

    Raises:
        TableError: If it lacks a column, an image is repeated, a value is none of its kind, or a
            fold holds one class only.
    """
    table = read_labelled(path, [IMAGE_NAME, FOLD, TARGET, PREDICTION])
    check_probabilities(table, PREDICTION, path, _REMEDY)
    table[FOLD] = _parse_folds(table, path)
    _check_classes(table, path)
    table[PATIENT_ID] = patients_as_written(table)
    return Source(path, table[OOF_COLUMNS], files=(path,))


def read_submissions(
    paths: Sequence[Path], form: pd.DataFrame | None = None
) -> tuple["pd.Series[str]", Floats]:
    """Read submissions of the same test images.

    Args:
        paths: Tables of image_name and target, or of image_name and prediction as the folds of a run
            have them; at least one.
        form: The competition's sample_submission.csv, whose images and order are wanted; without it
            those of the first submission.

    Returns:
        The image names, and the predictions, shape (n_submissions, n_test).

    Raises:
        TableError: If a table lacks a column, an image is missing, unknown or repeated, or a value is
            not in [0, 1].
    """
    tables = [_read_submission(path) for path in paths]
    if form is None:
        check_image_names(tables[0], paths[0])
    wanted = (tables[0] if form is None else form)[IMAGE_NAME]
    wanted_by = str(paths[0]) if form is None else "sample_submission.csv"
    remedy = "Submissions of the same competition have the same images: give another file."
    values = []
    for table, path in zip(tables, paths):
        positions = positions_of(wanted, table, path, wanted_by, remedy)
        check_probabilities(table, TARGET, path, _REMEDY)
        values.append(table[TARGET].to_numpy(dtype=np.float64)[positions])
    return wanted, np.array(values)


def _check_classes(table: pd.DataFrame, path: Path) -> None:
    classes = table.groupby(FOLD)[TARGET].nunique()
    lacking = classes.index[classes < 2]
    if len(lacking):
        raise TableError(
            f"{path}: fold {name_some(lacking)} holds one class only, so its AUC does not exist. "
            "Both images with target 1 and with target 0 are needed in each."
        )
    if table[TARGET].value_counts().min() < 2:
        raise TableError(
            f"{path}: a single image of one {TARGET}, so that nothing says how sure its AUC is. Give "
            "a table with at least two images with target 1 and two with target 0."
        )


def _read_submission(path: Path) -> pd.DataFrame:
    table = read_table(path, [IMAGE_NAME])
    if PREDICTION in table.columns and TARGET not in table.columns:
        return table.rename(columns={PREDICTION: TARGET})  # the test.csv of a fold
    check_columns(table, SUBMISSION_COLUMNS, path)
    if PREDICTION in table.columns:
        raise TableError(
            f"{path}: has a column {PREDICTION} beside {TARGET}, so that {TARGET} seems to be the "
            "truth. Give out-of-fold tables with --oof."
        )
    return table


def read_test_patients(
    test_names: "pd.Series[str]", data_dir: Path | None
) -> npt.NDArray[np.int64]:
    """Whom the test images are of, numbered, from the competition's test.csv.

    Raises:
        ConfigError: If there is no such table.
        TableError: If it holds other images.
    """
    table = None if data_dir is None else read_test(data_dir)
    if data_dir is None or table is None:
        raise ConfigError(
            "--context needs to know whom the test images are of. Give the competition folder, "
            "whose test.csv has a column patient_id, as --data-dir."
        )
    path = test_csv(data_dir)
    remedy = "Check that test.csv belongs to these predictions."
    positions = positions_of(test_names, table, path, "the test predictions", remedy)
    patients = patients_of(table.iloc[positions])
    return pd.factorize(patients, sort=True)[0].astype(np.int64)


def find_test_patients(
    test_names: "pd.Series[str] | None", data_dir: Path | None
) -> npt.NDArray[np.int64] | None:
    """As `read_test_patients`, for what can do without: None where no table says whose they are."""
    if test_names is None:
        return None
    try:
        return read_test_patients(test_names, data_dir)
    except (ConfigError, TableError):
        return None


def _parse_folds(table: pd.DataFrame, path: Path) -> "pd.Series[int]":
    folds = pd.to_numeric(table[FOLD], errors="coerce")
    wrong = ~(folds >= 0) | (folds != folds.round())
    if wrong.any():
        raise TableError(
            f"{path}: {FOLD} of {name_values(table.loc[wrong], FOLD)} is not a number from 0. Leave "
            "rows out that were not predicted out of fold."
        )
    return folds.astype(np.int64)
