"""`folds.csv` and the `folds.json` beside it: written once, and read only with their train.csv."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from melanoma.errors import ConfigError, TableError, name_some
from melanoma.files import sha256_of, write_json, write_table
from melanoma.folds import Scheme, assign_folds, balance_table
from melanoma.tables import (
    FOLD,
    IMAGE_NAME,
    TARGET,
    check_image_names,
    read_table,
    read_train,
    train_csv,
)


def create_folds(
    data_dir: Path,
    n_folds: int = 5,
    seed: int = 42,
    scheme: Scheme = "grouped",
    output: Path = Path("folds/folds.csv"),
    overwrite: bool = False,
) -> pd.DataFrame:
    """Assign every image of a competition's train.csv to a fold and write the fold file.

    Args:
        data_dir: The competition folder; only its train.csv is read, no image.
        n_folds: Number of folds, at least 2.
        seed: Seed of the shuffling.
        scheme: grouped keeps a patient's images together and balances the target; stratified
            balances the target alone and lets patients leak.
        output: The fold file (image_name, fold); folds.json with the scheme, the seed, the
            SHA-256 of train.csv and the balance is written beside it under the same stem.
        overwrite: Replace a fold file that this script did not write.

    Returns:
        The balance table, a row per fold.

    Raises:
        TableError: If train.csv breaks its contract.
        ConfigError: If the folds cannot be made, or `output` is somebody else's file.
    """
    train = read_train(data_dir)
    folds = assign_folds(train, n_folds, seed, scheme)
    if not overwrite:
        _refuse_to_replace_foreign_file(output)
    balance = balance_table(train, folds)
    write_table(output, pd.DataFrame({IMAGE_NAME: train[IMAGE_NAME], FOLD: folds}))
    description = {
        "scheme": scheme,
        "seed": seed,
        "k": n_folds,
        "train_sha256": sha256_of(train_csv(data_dir)),
        "folds_sha256": sha256_of(output),
        "balance": balance.to_dict(orient="records"),
    }
    write_json(description_path(output), description)
    return balance


def description_path(folds_csv: Path) -> Path:
    """The JSON file beside a fold file that says how it was made."""
    return folds_csv.with_suffix(".json")


def read_folds(folds_csv: Path, data_dir: Path) -> pd.DataFrame:
    """Read train.csv with each image's fold, checked to fit each other.

    Returns:
        `train.csv` in its own order, with a column `fold` (int64, 0 to k-1).

    Raises:
        TableError: If the fold file is missing, was made from another train.csv (by checksum, or
            by its image names), or holds something else than fold numbers 0 to k-1.
        ConfigError: If a fold lacks one of the two classes.
    """
    train = read_train(data_dir)
    table = read_table(folds_csv, [IMAGE_NAME, FOLD])
    check_image_names(table, folds_csv)
    _check_checksum(folds_csv, data_dir)
    _check_same_images(table, train, folds_csv, data_dir)
    train[FOLD] = train[IMAGE_NAME].map(_parse_folds(table, folds_csv))
    _check_classes(train, folds_csv)
    return train


def _refuse_to_replace_foreign_file(output: Path) -> None:
    if not output.exists():
        return
    description = _read_description(output)
    if description.get("folds_sha256") != sha256_of(output):
        raise ConfigError(
            f"{output} exists and was not written by create_folds.py as it is now, so it could not "
            "be made again. Choose another --output, or replace it with --overwrite."
        )


def _read_description(folds_csv: Path) -> dict[str, Any]:
    path = description_path(folds_csv)
    if not path.is_file():
        return {}
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (ValueError, OSError) as error:
        raise TableError(
            f"{path}: not readable as JSON ({error}). Make the folds again."
        ) from error
    return content if isinstance(content, dict) else {}


def _check_checksum(folds_csv: Path, data_dir: Path) -> None:
    # A fold file made elsewhere has no description: then the image names alone must fit.
    expected = _read_description(folds_csv).get("train_sha256")
    if expected and expected != sha256_of(train_csv(data_dir)):
        raise TableError(
            f"{folds_csv} was made from another train.csv than {train_csv(data_dir)} (their SHA-256 "
            f"differ). Run scripts/create_folds.py --data-dir {data_dir} again, or give the fold "
            "file that belongs to it as --data.folds_csv."
        )


def _check_same_images(
    table: pd.DataFrame, train: pd.DataFrame, folds_csv: Path, data_dir: Path
) -> None:
    remedy = f"Run scripts/create_folds.py --data-dir {data_dir} again."
    unassigned = train.loc[~train[IMAGE_NAME].isin(table[IMAGE_NAME]), IMAGE_NAME]
    if len(unassigned):
        raise TableError(
            f"{folds_csv}: no fold for {name_some(unassigned)} of {train_csv(data_dir)}. {remedy}"
        )
    unknown = table.loc[~table[IMAGE_NAME].isin(train[IMAGE_NAME]), IMAGE_NAME]
    if len(unknown):
        raise TableError(
            f"{folds_csv}: {name_some(unknown)} not in {train_csv(data_dir)}. {remedy}"
        )


def _parse_folds(table: pd.DataFrame, folds_csv: Path) -> "pd.Series[int]":
    values = pd.to_numeric(table[FOLD], errors="coerce")
    wrong = ~(values >= 0) | (values != values.round())
    if wrong.any():
        rows = table.loc[wrong]
        offenders = [f"{name} ({value})" for name, value in zip(rows[IMAGE_NAME], rows[FOLD])]
        raise TableError(
            f"{folds_csv}: {FOLD} of {name_some(offenders)} is not a number from 0. "
            "Run scripts/create_folds.py again."
        )
    numbers = values.astype(np.int64)
    absent = sorted(set(range(int(numbers.max()) + 1)) - set(numbers))
    if absent or numbers.max() == 0:
        raise TableError(
            f"{folds_csv}: folds are numbered from 0 without gaps and are at least 2, but it has "
            f"{name_some(sorted(set(numbers)))}. Run scripts/create_folds.py again."
        )
    return pd.Series(numbers.to_numpy(), index=table[IMAGE_NAME])


def _check_classes(train: pd.DataFrame, folds_csv: Path) -> None:
    classes = train.groupby(FOLD)[TARGET].nunique()
    lacking = classes.index[classes < 2].tolist()
    if lacking:
        raise ConfigError(
            f"{folds_csv}: fold {name_some(lacking)} holds one class only, so its AUC does not exist. "
            "Make folds with fewer --n-folds or another --seed."
        )
