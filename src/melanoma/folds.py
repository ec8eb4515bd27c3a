"""Assigning images to cross-validation folds: pure functions of tables, no files.

A fold is a validation set: fold k is validated on by the network that trains on all the others.
"""

from typing import Literal, get_args

import numpy as np
import numpy.typing as npt
import pandas as pd

from melanoma.errors import ConfigError
from melanoma.tables import FOLD, PATIENT_ID, TARGET, patients_of

Scheme = Literal["grouped", "stratified"]
FoldArray = npt.NDArray[np.int64]


def assign_folds(train: pd.DataFrame, n_folds: int, seed: int, scheme: Scheme) -> FoldArray:
    """Assign each image to one of `n_folds` folds.

    Args:
        train: A row per image: `target` (0 or 1) and, for `grouped`, `patient_id`. An image
            without a patient is a patient of its own.
        n_folds: At least 2.
        seed: The same seed gives the same folds for the same table.
        scheme: `grouped` keeps all images of a patient on one side and balances the target
            (scikit-learn's StratifiedGroupKFold); `stratified` balances the target only and
            puts patients on both sides, which makes a validation score too good to be true:
            for comparison, or for tables whose rows are independent.

    Returns:
        Shape (n_images,), the fold of each row, 0 to n_folds - 1.

    Raises:
        ConfigError: If there are fewer than 2 folds, the scheme is unknown, or there are too
            few melanomas, patients with one, or benign ones, for each fold to get one.
    """
    if scheme not in get_args(Scheme):
        raise ConfigError(f"--scheme {scheme}: not known. Choose {' or '.join(get_args(Scheme))}.")
    if n_folds < 2:
        raise ConfigError(f"--n-folds {n_folds}: cross-validation needs at least 2 folds.")
    groups, splitter = _splitter(train, n_folds, seed, scheme)
    _check_enough_of_each_class(train[TARGET], groups, n_folds, scheme)
    folds = np.full(len(train), -1, dtype=np.int64)
    split = splitter.split(train, train[TARGET], groups if scheme == "grouped" else None)
    for fold, (_, rows) in enumerate(split):
        folds[rows] = fold
    _check_both_classes(train[TARGET].to_numpy(), folds)
    return folds


def balance_table(train: pd.DataFrame, folds: FoldArray) -> pd.DataFrame:
    """What each fold holds: a row per fold with its images, patients, melanomas and their share.

    Returns:
        Columns fold, images, patients, melanomas, and melanoma_share as a percentage.
    """
    table = pd.DataFrame({FOLD: folds, PATIENT_ID: patients_of(train), TARGET: train[TARGET]})
    balance = table.groupby(FOLD).agg(
        images=(TARGET, "size"), patients=(PATIENT_ID, "nunique"), melanomas=(TARGET, "sum")
    )
    balance["melanoma_share"] = (100 * balance["melanomas"] / balance["images"]).round(2)
    return balance.reset_index()


def patients_in_two_folds(train: pd.DataFrame, folds: FoldArray) -> list[str]:
    """The patients whose images lie in more than one fold, sorted: the leaks of a split."""
    folds_of_patient = pd.Series(folds).groupby(patients_of(train).to_numpy()).nunique()
    return sorted(folds_of_patient.index[folds_of_patient > 1])


def _splitter(train: pd.DataFrame, n_folds: int, seed: int, scheme: Scheme):  # type: ignore[no-untyped-def]
    # Imported here: scikit-learn takes a second, and every script that reads folds comes by.
    from sklearn.model_selection import StratifiedGroupKFold, StratifiedKFold

    if scheme == "grouped":
        # Codes by first appearance of the sorted names: scikit-learn wants numbers or text alike.
        groups = np.unique(patients_of(train).to_numpy(dtype=str), return_inverse=True)[1]
        return groups, StratifiedGroupKFold(n_folds, shuffle=True, random_state=seed)
    return np.arange(len(train)), StratifiedKFold(n_folds, shuffle=True, random_state=seed)


def _check_enough_of_each_class(
    targets: "pd.Series[int]", groups: npt.NDArray[np.int64], n_folds: int, scheme: Scheme
) -> None:
    unit = "patients" if scheme == "grouped" else "images"
    for target, name in [(1, "melanoma (target 1)"), (0, "benign (target 0)")]:
        found = len(np.unique(groups[targets.to_numpy() == target]))
        if found < n_folds:
            raise ConfigError(
                f"only {found} {unit} with a {name} image for {n_folds} folds: each fold needs one. "
                f"Choose --n-folds {found} or fewer."
                if found >= 2
                else f"only {found} {unit} with a {name} image: cross-validation needs at least 2. "
                "Check the target column of train.csv."
            )


def _check_both_classes(targets: npt.NDArray[np.int64], folds: FoldArray) -> None:
    lacking = [k for k in range(folds.max() + 1) if len(np.unique(targets[folds == k])) < 2]
    if lacking:
        raise ConfigError(
            f"fold {lacking[0]} would hold one class only, so its AUC would not exist: the images "
            "of one class belong to too few patients. Choose fewer --n-folds or another --seed."
        )
