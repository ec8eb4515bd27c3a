"""Judging fold files, made here or elsewhere, one alone or several side by side."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import get_args

import numpy as np
import pandas as pd

from melanoma.errors import TableError, name_some
from melanoma.folds.assignment import LEFT_OUT, Scheme, assign_folds
from melanoma.folds.balance import Balance, judge_folds
from melanoma.folds.factors import SHORT_NAMES
from melanoma.folds.files import read_fold_column
from melanoma.folds.groups import Groups, join_groups, read_known_pairs
from melanoma.identifiers import normal_form
from melanoma.remote.opening import local_folder
from melanoma.tables import (
    FOLD,
    IMAGE_NAME,
    TARGET,
    read_train,
    train_csv,
)


def check_folds(
    data_dir: Path,
    folds_csv: Path,
    fold_column: str = FOLD,
    duplicates: Path | None = None,
    balance_on: Sequence[str] = (),
) -> Balance:
    """Judge a fold file, made here or elsewhere.

    Args:
        data_dir: The competition folder.
        folds_csv: A table of image_name and a column of folds.
        fold_column: That column; `tfrecord%5` takes it modulo 5.
        duplicates: Pairs of duplicates, whose patients count as one.
        balance_on: Further columns to judge the balance of.

    Raises:
        TableError: If a table breaks its contract, or not one image of train.csv is in a fold.
        ConfigError: If a column does not exist.
    """
    data_dir = local_folder(data_dir)
    train, groups, n_unknown_pairs = _read(data_dir, duplicates)
    balance = _judge_file(train, groups, folds_csv, fold_column, data_dir, balance_on)
    return replace(balance, n_unknown_pairs=n_unknown_pairs)


def compare_folds(
    data_dir: Path,
    splits: Sequence[str],
    n_folds: int = 5,
    seed: int = 42,
    fold_column: str = FOLD,
    duplicates: Path | None = None,
    balance_on: Sequence[str] = (),
) -> pd.DataFrame:
    """Judge several splits side by side.

    Args:
        data_dir: The competition folder.
        splits: Fold files, each optionally followed by a colon and its column
            (`other.csv:tfrecord%5`); or the name of a scheme, which is then made on the spot.
        n_folds: Number of folds of the schemes.
        seed: Seed of the schemes.
        fold_column: The column of files that name none.
        duplicates: Pairs of duplicates, whose patients count as one.
        balance_on: Further columns to judge the balance of.

    Returns:
        A row per split, the figures as text.

    Raises:
        TableError, ConfigError: As `check_folds`.
    """
    data_dir = local_folder(data_dir)
    train, groups, _ = _read(data_dir, duplicates)
    rows = []
    for split in splits:
        if split in get_args(Scheme):
            further = balance_on if split == "balanced" else ()
            folds = assign_folds(train, n_folds, seed, split, groups, further)  # type: ignore[arg-type]
            balance = judge_folds(train, folds, groups, balance_on)
        else:
            path, column = _parse_split(split, fold_column)
            balance = _judge_file(train, groups, path, column, data_dir, balance_on)
        rows.append({"split": Path(split).name, **_figures(balance)})
    return pd.DataFrame(rows)


def _read(data_dir: Path, duplicates: Path | None) -> tuple[pd.DataFrame, Groups, int]:
    train = read_train(data_dir)
    pairs, n_unknown = (None, 0) if duplicates is None else read_known_pairs(duplicates, train)
    return train, join_groups(train, pairs), n_unknown


def _parse_split(split: str, fold_column: str) -> tuple[Path, str]:
    path, colon, column = split.rpartition(":")
    return (
        (Path(path), column) if colon and not Path(split).exists() else (Path(split), fold_column)
    )


def _judge_file(
    train: pd.DataFrame,
    groups: Groups,
    folds_csv: Path,
    fold_column: str,
    data_dir: Path,
    balance_on: Sequence[str],
) -> Balance:
    folds = read_fold_column(folds_csv, fold_column)
    names = normal_form(train[IMAGE_NAME])
    aligned = folds.reindex(names).fillna(LEFT_OUT).to_numpy().astype(np.int64)
    if (aligned < 0).all():
        raise TableError(
            f"{folds_csv}: none of its images, such as {name_some(folds.index[:1])}, is in "
            f"{train_csv(data_dir)}. Give the competition folder it was made for."
        )
    return judge_folds(train, aligned, groups, balance_on)


def _figures(balance: Balance) -> dict[str, str]:
    def span(column: str) -> str:
        low, high = balance.per_fold[column].min(), balance.per_fold[column].max()
        return str(low) if low == high else f"{low}-{high}"

    return {
        "patients in two folds": str(len(balance.split_patients)),
        "images": span("images"),
        "melanomas": span("melanomas"),
        "patients": span("patients"),
        "strata, worst": f"{balance.strata_deviation:.1f} %",
        **{
            f"{SHORT_NAMES.get(name, name)} spread": f"{balance.share_spread(name):.2f} pp"
            for name in balance.shares
            if name != TARGET
        },
        **{
            f"melanomas by {SHORT_NAMES.get(name, name)}": str(balance.melanoma_spread(name))
            for name in balance.melanomas
        },
        "left out": str(balance.left_out),
    }
