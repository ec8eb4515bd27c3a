"""From the folds' test predictions to `submission.csv`."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pandas as pd

from melanoma.ensemble.blend import mean_blend
from melanoma.ensemble.oof import Scores, read_oof, score_oof
from melanoma.errors import RunError, TableError, name_some
from melanoma.files import write_table
from melanoma.run_folder import RunFolder
from melanoma.tables import (
    FOLD,
    IMAGE_NAME,
    PREDICTION,
    SUBMISSION_COLUMNS,
    TARGET,
    check_image_names,
    check_probabilities,
    read_predictions,
    read_sample_submission,
    sample_submission_csv,
    test_csv,
)


@dataclass(frozen=True)
class Submission:
    """What was built.

    Attributes:
        scores: What the out-of-fold predictions are worth.
        oof_csv: Where they are.
        submission_csv: What to hand in; None where the competition has no test set.
    """

    scores: Scores
    oof_csv: Path
    submission_csv: Path | None


def build_submission(run_dir: Path, data_dir: Path | None = None) -> Submission:
    """Join a run's out-of-fold predictions, score them, and average its test predictions.

    Args:
        run_dir: The folder that scripts/train_folds.py wrote, all its folds finished.
        data_dir: The competition folder; by default where the run's configuration says it was.

    Raises:
        RunError: If this is no run folder, or folds are missing.
        TableError: If a table has missing, unknown or duplicated images, values that are no
            probabilities, or ids other than those of sample_submission.csv.
    """
    run = RunFolder(run_dir)
    settings = run.read_config()["data"]
    data_dir = data_dir or Path(settings["data_dir"])
    folds_csv, fold_column = Path(settings["folds_csv"]), settings.get("fold_column", FOLD)
    oof = read_oof(run, data_dir, folds_csv, fold_column)
    scores = score_oof(oof)
    blended = _blend_test(run, sorted(oof[FOLD].unique()), data_dir)
    write_table(run.oof_csv, oof)
    if blended is None:
        return Submission(scores, run.oof_csv, None)
    write_table(run.submission_csv, blended)
    return Submission(scores, run.oof_csv, run.submission_csv)


def check_submission(submission: pd.DataFrame, sample: pd.DataFrame, path: Path) -> None:
    """Check a submission against the form the competition gives.

    Args:
        submission: Columns image_name and target.
        sample: The form: exactly these ids are wanted.
        path: Of the submission, for messages.

    Raises:
        TableError: For missing, unknown, repeated or reordered ids, or values outside [0, 1].
    """
    check_image_names(submission, path)
    check_probabilities(submission, TARGET, path)
    missing = sample.loc[~sample[IMAGE_NAME].isin(submission[IMAGE_NAME]), IMAGE_NAME]
    unknown = submission.loc[~submission[IMAGE_NAME].isin(sample[IMAGE_NAME]), IMAGE_NAME]
    for ids, what in [(missing, "has no prediction"), (unknown, "is not asked for")]:
        if len(ids):
            raise TableError(
                f"{path}: {name_some(ids)} {what}. Check that test.csv and sample_submission.csv "
                "belong together, then predict again."
            )
    if not np.array_equal(submission[IMAGE_NAME].to_numpy(), sample[IMAGE_NAME].to_numpy()):
        raise TableError(f"{path}: the rows are not in the order of sample_submission.csv.")


def _blend_test(run: RunFolder, folds: list[int], data_dir: Path) -> pd.DataFrame | None:
    paths = [run.fold(int(fold)).test_csv for fold in folds]
    present = [path for path in paths if path.is_file()]
    if not present and not test_csv(data_dir).exists():
        return None
    if len(present) < len(paths):
        absent = [path for path in paths if path not in present]
        raise RunError(
            f"no test predictions {name_some(absent)}. Predict them, with test.csv and its images "
            f"in {data_dir}: scripts/predict_folds.py --run-dir {run.path}"
        )
    sample = read_sample_submission(data_dir)
    tables = [read_predictions(path).set_index(IMAGE_NAME)[PREDICTION] for path in paths]
    order = _check_same_images(tables, paths) if sample is None else sample[IMAGE_NAME]
    form = sample if sample is not None else pd.DataFrame({IMAGE_NAME: order})
    form_path = sample_submission_csv(data_dir)
    aligned = [_align(table, order, path, form_path) for table, path in zip(tables, paths)]
    blended = pd.DataFrame({IMAGE_NAME: order.to_numpy(), TARGET: mean_blend(np.stack(aligned))})
    check_submission(blended, form, run.submission_csv)
    return blended[SUBMISSION_COLUMNS]


def _check_same_images(tables: list["pd.Series[float]"], paths: list[Path]) -> "pd.Series[str]":
    first = tables[0].index
    for table, path in zip(tables, paths):
        if set(table.index) != set(first):
            raise TableError(
                f"{path} and {paths[0]} predict different images. Predict them again with "
                "scripts/predict_folds.py --overwrite."
            )
    return first.to_series()


def _align(
    table: "pd.Series[float]", order: "pd.Series[str]", path: Path, form: Path
) -> npt.NDArray[np.float64]:
    missing = order[~order.isin(table.index)]
    if len(missing):
        raise TableError(
            f"{path}: no prediction for {name_some(missing)} of {form}. Check that test.csv has "
            "these images, then predict again with scripts/predict_folds.py --overwrite."
        )
    unknown = table.index[~table.index.isin(order)]
    if len(unknown):
        raise TableError(
            f"{path}: {name_some(unknown)} not in {form}. Check that test.csv and "
            "sample_submission.csv belong together."
        )
    return np.asarray(table.loc[order], dtype=np.float64)
