"""`folds.csv` and the `folds.json` beside it: read only together with the tables they belong to."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from melanoma.errors import ConfigError, TableError, name_some
from melanoma.files import NOT_READABLE, sha256_of, write_bytes
from melanoma.folds.assignment import LEFT_OUT
from melanoma.identifiers import normal_form
from melanoma.tables import (
    FOLD,
    IMAGE_NAME,
    TARGET,
    check_image_names,
    name_values,
    read_labelled,
    read_table,
    read_train,
    train_csv,
)

# Of an image of another year: the fold whose training must not see it.
EXCLUDED = "excluded"
_FORM = "normal form"

# Beyond it a number is no fold; and far beyond it, it would become a negative integer.
_MOST_FOLDS = 1_000_000


def description_path(folds_csv: Path) -> Path:
    """The JSON file beside a fold file that says how it was made."""
    return folds_csv.with_suffix(".json")


def copy_folds(folds_csv: Path, folder: Path) -> Path:
    """Copy a fold file into a folder, with its description if it has one; the copy's path."""
    for path in (folds_csv, description_path(folds_csv)):
        if path.is_file():
            write_bytes(folder / path.name, path.read_bytes())
    return folder / folds_csv.name


def read_description(folds_csv: Path) -> dict[str, Any]:
    """How a fold file was made; empty for one made elsewhere.

    Raises:
        TableError: If the description is there but damaged.
    """
    path = description_path(folds_csv)
    if not path.is_file():
        return {}
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except NOT_READABLE as error:
        raise TableError(
            f"{path}: not readable as JSON ({error}). Make the folds again."
        ) from error
    return content if isinstance(content, dict) else {}


def excluded_column(fold_column: str) -> str:
    """The column beside a fold column that keeps images of other years out of a fold's training."""
    return f"{fold_column}_{EXCLUDED}"


def read_fold_column(folds_csv: Path, fold_column: str = FOLD) -> "pd.Series[int]":
    """Read one column of a fold file, made here or elsewhere.

    Args:
        folds_csv: A table with image_name and the column.
        fold_column: Its name; `tfrecord%5` takes the column tfrecord modulo 5.

    Returns:
        The fold (int64, from 0; -1 for none) by the normal form of the image name.

    Raises:
        TableError: If the file lacks the column or holds something else than folds.
        ConfigError: If what follows the % is not a number of folds.
    """
    name, modulo = _parse_column(fold_column)
    table = read_table(folds_csv, [IMAGE_NAME, name])
    check_image_names(table, folds_csv)
    values = pd.to_numeric(table[name], errors="coerce")
    wrong = ~values.between(LEFT_OUT, _MOST_FOLDS) | (values != values.round())
    if wrong.any():
        raise TableError(
            f"{folds_csv}: {name} of {name_values(table.loc[wrong], name)} is not a number "
            "from 0 (or -1 for none). Run scripts/create_folds.py again."
        )
    folds = values.to_numpy().astype(np.int64)
    if modulo:
        folds = np.where(folds >= 0, folds % modulo, folds)
    _check_numbering(folds, folds_csv)
    return pd.Series(folds, index=normal_form(table[IMAGE_NAME]).to_numpy(), name=FOLD)


def read_folds(folds_csv: Path, data_dir: Path, fold_column: str = FOLD) -> pd.DataFrame:
    """Read train.csv with each image's fold, checked to fit each other.

    Args:
        folds_csv: The fold file.
        data_dir: The competition folder.
        fold_column: Which of its columns; `fold_1` for the first repeat, `tfrecord%5` for a file
            made elsewhere.

    Returns:
        `train.csv` in its own order, with a column `fold` (int64, 0 to k-1). Images in no fold (-1)
        are not among them.

    Raises:
        TableError: If the fold file is missing, was made from another train.csv (by checksum, or
            by its image names), or holds something else than fold numbers 0 to k-1.
        ConfigError: If a fold lacks one of the two classes.
    """
    train = read_train(data_dir)
    folds = read_fold_column(folds_csv, fold_column)
    _check_checksum(folds_csv, data_dir)
    _check_same_images(folds, train, folds_csv, data_dir)
    train[FOLD] = folds[normal_form(train[IMAGE_NAME])].to_numpy()
    _check_classes(train, folds_csv)
    return train[train[FOLD] >= 0].reset_index(drop=True)


def read_external(
    folds_csv: Path, data_dir: Path, external_csv: Path | None, fold_column: str = FOLD
) -> pd.DataFrame | None:
    """Read the images of other years that the folds were made with.

    Args:
        folds_csv: The fold file.
        data_dir: The competition folder, whose own images are not external.
        external_csv: Their train.csv; None if there are none.
        fold_column: As in `read_folds`.

    Returns:
        That table with a column `excluded` (int64): the fold whose training must not see the image,
        because its patient or a duplicate is validated there; -1 for none. None without a table.

    Raises:
        TableError: If the fold file has external images and no table was given, or the table is
            another than the one the folds were made with.
    """
    table = read_table(folds_csv, [IMAGE_NAME])
    own = normal_form(read_train(data_dir)[IMAGE_NAME])
    names = normal_form(table[IMAGE_NAME])
    listed = table.assign(**{_FORM: names})[~names.isin(own)]
    if external_csv is None:
        if len(listed):
            raise TableError(
                f"{folds_csv} was made with {len(listed)} images of other years. Say where they are "
                "with --data.external_csv, or make folds without --external."
            )
        return None
    external = read_labelled(external_csv)
    column = excluded_column(fold_column)
    forms = normal_form(external[IMAGE_NAME])
    strange = external.loc[~forms.isin(listed[_FORM]), IMAGE_NAME]
    if len(strange) or column not in table.columns:
        raise TableError(
            f"{folds_csv} was not made with {external_csv}: no {column} for "
            f"{name_some(strange if len(strange) else external[IMAGE_NAME])}. Run "
            f"scripts/create_folds.py --data-dir {data_dir} --external {external_csv} again."
        )
    excluded = listed.set_index(_FORM)[column]
    external[EXCLUDED] = excluded[forms].to_numpy().astype(np.int64)
    return external


def _parse_column(fold_column: str) -> tuple[str, int | None]:
    name, percent, modulo = fold_column.partition("%")
    if not percent:
        return name, None
    if not modulo.isdigit() or int(modulo) < 2:
        raise ConfigError(f"fold column {fold_column}: after % comes a number of folds, as in x%5.")
    return name, int(modulo)


def _check_numbering(folds: np.ndarray[tuple[int], np.dtype[np.int64]], folds_csv: Path) -> None:
    numbers = set(folds[folds >= 0].tolist())
    if len(numbers) < 2 or numbers != set(range(len(numbers))):
        raise TableError(
            f"{folds_csv}: folds are numbered from 0 without gaps and are at least 2, but it has "
            f"{name_some(sorted(numbers))}. Run scripts/create_folds.py again."
        )


def _check_checksum(folds_csv: Path, data_dir: Path) -> None:
    # A fold file made elsewhere has no description: then the image names alone must fit.
    expected = read_description(folds_csv).get("train_sha256")
    if expected and expected != sha256_of(train_csv(data_dir)):
        raise TableError(
            f"{folds_csv} was made from another train.csv than {train_csv(data_dir)} (their SHA-256 "
            f"differ). Run scripts/create_folds.py --data-dir {data_dir} again, or give the fold "
            "file that belongs to it as --data.folds_csv."
        )


def _check_same_images(
    folds: "pd.Series[int]", train: pd.DataFrame, folds_csv: Path, data_dir: Path
) -> None:
    remedy = f"Run scripts/create_folds.py --data-dir {data_dir} again."
    names, own = pd.Series(folds.index), normal_form(train[IMAGE_NAME])
    unassigned = train.loc[~own.isin(names), IMAGE_NAME]
    if len(unassigned):
        raise TableError(
            f"{folds_csv}: no fold for {name_some(unassigned)} of {train_csv(data_dir)}. {remedy}"
        )
    # Images of other years are in no fold.
    unknown = names[(folds.to_numpy() >= 0) & ~names.isin(own)]
    if len(unknown):
        raise TableError(
            f"{folds_csv}: {name_some(unknown)} not in {train_csv(data_dir)}. {remedy}"
        )


def _check_classes(train: pd.DataFrame, folds_csv: Path) -> None:
    classes = train[train[FOLD] >= 0].groupby(FOLD)[TARGET].nunique()
    lacking = classes.index[classes < 2].tolist()
    if lacking:
        raise ConfigError(
            f"{folds_csv}: fold {name_some(lacking)} holds one class only, so its AUC does not exist. "
            "Make folds with fewer --n-folds or another --seed."
        )
