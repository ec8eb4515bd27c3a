"""The CSV files of the pipeline: their columns, named once, and the checks every reader relies on."""

import warnings
from collections.abc import Sequence
from itertools import permutations
from pathlib import Path

import numpy as np
import pandas as pd

from melanoma.errors import TableError, name_some, suggest
from melanoma.identifiers import normal_form

IMAGE_NAME = "image_name"
PATIENT_ID = "patient_id"
SEX = "sex"
AGE = "age_approx"
SITE = "anatom_site_general_challenge"
DIAGNOSIS = "diagnosis"
BENIGN_MALIGNANT = "benign_malignant"
TARGET = "target"
FOLD = "fold"
PREDICTION = "prediction"
IMAGE_1 = "image_name_1"
IMAGE_2 = "image_name_2"
SPLIT = "split"
WIDTH = "width"
HEIGHT = "height"
BYTES = "bytes"
PHASH = "phash"
REASON = "reason"

OOF_COLUMNS = [IMAGE_NAME, PATIENT_ID, FOLD, TARGET, PREDICTION]
PREDICTION_COLUMNS = [IMAGE_NAME, PREDICTION]
SUBMISSION_COLUMNS = [IMAGE_NAME, TARGET]
INDEX_COLUMNS = [IMAGE_NAME, SPLIT, WIDTH, HEIGHT, BYTES, PHASH]
BROKEN_COLUMNS = [IMAGE_NAME, SPLIT, REASON]

# Read as text whatever they look like: an identifier 007 is not the number 7.
_TEXT_COLUMNS = [
    *(IMAGE_NAME, PATIENT_ID, SEX, SITE, DIAGNOSIS, BENIGN_MALIGNANT),
    *(IMAGE_1, IMAGE_2, SPLIT, PHASH),
]

# What tables hold where a patient is not known, besides what pandas takes for missing.
_PLACEHOLDERS = {
    *("", "unknown", "unk", "unspecified", "undefined", "missing", "not available", "not known"),
    *("none", "null", "nan", "na", "n/a", "n.a.", "-", "--", "?", "-1"),
}

# A path, a drive, a folder itself, or what no terminal and no file system should be given.
_NO_FILE_NAME = r"[/\\\x00-\x1f\x7f]|^[A-Za-z]:|^\.{1,2}$"


def train_csv(data_dir: Path) -> Path:
    """Where a competition folder holds its training table."""
    return data_dir / "train.csv"


def test_csv(data_dir: Path) -> Path:
    """Where a competition folder holds its test table, if it has one."""
    return data_dir / "test.csv"


def sample_submission_csv(data_dir: Path) -> Path:
    """Where a competition folder holds the form of a submission, if it has one."""
    return data_dir / "sample_submission.csv"


def read_train(data_dir: Path) -> pd.DataFrame:
    """Read and check `train.csv` of a competition folder.

    Returns:
        A row per image. `image_name` (str, unique) and `target` (int64, 0 or 1) are always there,
        every other column where the file has it.

    Raises:
        TableError: If the folder or file is missing or empty, a required column is missing, a
            target is not 0 or 1, or an image name is missing, repeated or not a plain file name.
    """
    if not data_dir.is_dir():
        raise TableError(
            f"{data_dir}: no such folder. Give the competition folder as "
            "--data-dir (in training: --data.data_dir)."
        )
    return read_labelled(train_csv(data_dir))


def read_labelled(path: Path, columns: Sequence[str] = (IMAGE_NAME, TARGET)) -> pd.DataFrame:
    """Read and check a table with targets wherever it is: the competition's, or another year's.

    Args:
        path: The table.
        columns: Those it must have, image_name and target among them.

    Returns:
        As `read_train`.

    Raises:
        TableError: As `read_train`.
    """
    table = read_table(path, columns)
    check_image_names(table, path)
    table[TARGET] = _parse_targets(table, path)
    return table


def read_duplicates(path: Path) -> pd.DataFrame:
    """Read pairs of duplicates: image_name_1, image_name_2, as in the official ISIC 2020 list.

    Raises:
        TableError: If the file is missing, lacks a column, or a name is missing.
    """
    table = read_table(path, [IMAGE_1, IMAGE_2])
    missing = table[[IMAGE_1, IMAGE_2]].isna().any(axis=1).to_numpy()
    if missing.any():
        lines = np.flatnonzero(missing) + 2
        raise TableError(f"{path}: a name is missing in line {name_some(lines)}. Fill it in.")
    return table[[IMAGE_1, IMAGE_2]]


def read_test(data_dir: Path) -> pd.DataFrame | None:
    """Read and check `test.csv` of a competition folder; None where there is no test set.

    Where it has targets, they are 0, 1 or missing (float64).

    Raises:
        TableError: If the table breaks its contract.
    """
    path = test_csv(data_dir)
    if not path.exists():
        return None
    table = read_table(path, [IMAGE_NAME])
    check_image_names(table, path)
    if TARGET in table.columns:
        targets = pd.to_numeric(table[TARGET], errors="coerce")
        wrong = table[TARGET].notna() & ~targets.isin([0, 1])
        if wrong.any():
            raise TableError(
                f"{path}: {TARGET} of {name_values(table.loc[wrong], TARGET)} is neither 0 nor 1. "
                "Correct those rows, or remove the column: test images need no target."
            )
        table[TARGET] = targets.astype(np.float64)
    return table


def read_sample_submission(data_dir: Path) -> pd.DataFrame | None:
    """Read `sample_submission.csv` (image_name, target); None where there is none."""
    path = sample_submission_csv(data_dir)
    if not path.exists():
        return None
    table = read_table(path, SUBMISSION_COLUMNS)
    check_image_names(table, path)
    return table


def check_form(test: pd.DataFrame | None, data_dir: Path) -> None:
    """Check that test.csv and sample_submission.csv are of the same images, where both are there.

    Args:
        test: As `read_test` gives it.
        data_dir: The competition folder.

    Raises:
        TableError: Naming images of one that are not in the other.
    """
    form = read_sample_submission(data_dir)
    if test is None or form is None:
        return
    paths = test_csv(data_dir), sample_submission_csv(data_dir)
    for (table, path), (other, its) in permutations(zip((test, form), paths)):
        names = other[IMAGE_NAME]
        absent = names[~normal_form(names).isin(normal_form(table[IMAGE_NAME]))]
        if len(absent):
            raise TableError(
                f"{path}: {name_some(absent)} of {its} not in it, so that no submission could be made. "
                "Download both again, or remove sample_submission.csv."
            )


def read_predictions(path: Path, columns: Sequence[str] = PREDICTION_COLUMNS) -> pd.DataFrame:
    """Read a table of predictions, checked to be finite and in [0, 1], one row per image.

    Args:
        path: A fold's `test.csv` or `oof.csv`.
        columns: The columns it must have; `prediction` is one of them.

    Raises:
        TableError: As above, naming the first offending images and their count.
    """
    table = read_table(path, columns)
    check_image_names(table, path)
    check_probabilities(table, PREDICTION, path)
    return table


def read_table(path: Path, required: Sequence[str]) -> pd.DataFrame:
    """Read a CSV file that must have at least one row and the required columns.

    Raises:
        TableError: If the file is missing, unreadable, empty, or lacks a column.
    """
    table = _read_csv(path)
    check_columns(table, required, path)
    if table.empty:
        raise TableError(f"{path}: the table has a header but no rows. Download the file again.")
    return table


def check_columns(table: pd.DataFrame, required: Sequence[str], path: Path) -> None:
    """Check that a table has the required columns.

    Raises:
        TableError: Naming those that it lacks, and what may have been meant.
    """
    missing = [column for column in required if column not in table.columns]
    if missing:
        hints = "".join(
            suggest(column, [str(name) for name in table.columns]) for column in missing
        )
        raise TableError(
            f"{path}: no column {name_some(missing)}; it has {', '.join(map(str, table.columns))}."
            f"{hints} Rename the column or give another file."
        )


def check_image_names(table: pd.DataFrame, path: Path) -> None:
    """Check that every row has its own image name, and that it is a plain file name.

    Raises:
        TableError: For a missing or repeated name, two names of one form (`normal_form`), or one
            that would leave the image folder.
    """
    names = table[IMAGE_NAME]
    if names.isna().any():
        lines = np.flatnonzero(names.isna()) + 2
        raise TableError(
            f"{path}: no {IMAGE_NAME} in line {name_some(lines)}. Fill it in or remove the line."
        )
    outside = names[names.str.contains(_NO_FILE_NAME, regex=True)]
    if len(outside):
        shown = (name if name.isprintable() else repr(name) for name in outside)
        raise TableError(
            f"{path}: {IMAGE_NAME} {name_some(shown)} is not a plain file name. Names with a path "
            "in them could leave the image folder; give the name alone, without extension."
        )
    repeated = names[names.duplicated()]
    if len(repeated):
        raise TableError(
            f"{path}: {IMAGE_NAME} {name_some(repeated.unique())} occurs more than once. An image in "
            "two rows would count twice; keep one row of each."
        )
    forms = normal_form(names)
    if forms is not names and forms.duplicated().any():
        alike = names[forms.duplicated(keep=False)].groupby(forms).agg(list)
        raise TableError(
            f"{path}: {IMAGE_NAME} {name_some(' and '.join(map(repr, pair)) for pair in alike)} are "
            "one name but for white space, .0 or the form of an accent, so that other tables could "
            "mean either. Rename one of them, or remove its row."
        )


def check_probabilities(
    table: pd.DataFrame,
    column: str,
    path: Path,
    remedy: str = "Predict that fold again with --overwrite.",
) -> None:
    """Check that a column holds finite numbers in [0, 1].

    Raises:
        TableError: Naming the first offending images, their values, and the count.
    """
    values = pd.to_numeric(table[column], errors="coerce").to_numpy(dtype=np.float64, copy=False)
    wrong = ~((values >= 0) & (values <= 1))
    if wrong.any():
        raise TableError(
            f"{path}: {column} of {name_values(table.loc[wrong], column)} is not a number "
            f"between 0 and 1. {remedy}"
        )


def name_values(rows: pd.DataFrame, column: str) -> str:
    """Name some offending rows by their image and what they hold in a column."""
    return name_some(f"{name} ({value})" for name, value in zip(rows[IMAGE_NAME], rows[column]))


def patients_of(table: pd.DataFrame) -> "pd.Series[str]":
    """Whose photograph each row is, in the form by which identifiers are compared.

    An image without a patient, or with a placeholder for one, is a patient of its own.
    """
    return normal_form(patients_as_written(table))


def patients_as_written(table: pd.DataFrame) -> "pd.Series[str]":
    """Whose photograph each row is, as the table spells it: for what is written, not for comparing."""
    if PATIENT_ID not in table.columns:
        return table[IMAGE_NAME].rename(PATIENT_ID)
    patients = table[PATIENT_ID]
    # The prefix keeps an image's name from meeting a patient of the same name.
    return patients.mask(
        patients.isna() | patients.map(is_placeholder).astype(bool), "image:" + table[IMAGE_NAME]
    )


def is_placeholder(identifier: object) -> bool:
    """Whether a patient's identifier says that nobody knows whose photograph it is.

    >>> [is_placeholder(text) for text in ("Unknown", " ", "n/a", "IP_0001", "0")]
    [True, True, True, False, False]
    """
    return isinstance(identifier, str) and identifier.strip().lower() in _PLACEHOLDERS


def _parse_targets(table: pd.DataFrame, path: Path) -> "pd.Series[int]":
    values = pd.to_numeric(table[TARGET], errors="coerce")
    wrong = ~values.isin([0, 1])
    if wrong.any():
        raise TableError(
            f"{path}: {TARGET} of {name_values(table.loc[wrong], TARGET)} is neither 0 nor 1. "
            "1 means melanoma, 0 anything else; correct those rows."
        )
    return values.astype(np.int64)


def _read_csv(path: Path) -> pd.DataFrame:
    if not path.is_file():
        raise TableError(f"{path}: no such file. {_nearby_tables(path)}")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", pd.errors.ParserWarning)
            return pd.read_csv(
                path,
                dtype=dict.fromkeys(_TEXT_COLUMNS, "str"),
                encoding="utf-8-sig",
                # Otherwise rows that end with a comma, as the header does not, lose their first column.
                index_col=False,
            )
    except pd.errors.ParserWarning as error:
        raise TableError(
            f"{path}: its rows have more fields than its header has columns, so that values cannot be "
            "told apart. Give every column a name, or remove what follows the last."
        ) from error
    except pd.errors.EmptyDataError as error:
        raise TableError(f"{path}: the file is empty. Download it again.") from error
    except (pd.errors.ParserError, UnicodeDecodeError, ValueError) as error:
        raise TableError(
            f"{path}: not a readable CSV file ({error}). Save it as UTF-8, separated by commas."
        ) from error
    except OSError as error:
        raise TableError(f"{path} cannot be read: {error.strerror or error}.") from error


def _nearby_tables(path: Path) -> str:
    if not path.parent.is_dir():
        return f"Its folder {path.parent} does not exist either; check the path."
    found = sorted(other.name for other in path.parent.glob("*.csv"))
    return f"That folder has {name_some(found) if found else 'no CSV file'}."
