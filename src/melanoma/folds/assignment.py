"""Assigning images to cross-validation folds: pure functions of tables, no files.

A fold is a validation set: fold k is validated on by the network that trains on all the others.
"""

from collections.abc import Sequence
from typing import Literal, get_args

import numpy as np
import numpy.typing as npt
import pandas as pd

from melanoma.errors import ConfigError
from melanoma.folds.balancing import balance_groups
from melanoma.folds.factors import factor_codes, factors_of
from melanoma.folds.groups import Groups, dominant_group, join_groups
from melanoma.tables import TARGET

Scheme = Literal["balanced", "grouped", "stratified"]
FoldArray = npt.NDArray[np.int64]

# Which version of `balanced` made a fold file. 1, which no file names, did not count melanomas by
# value. Raise it with every change by which a seed gives other folds.
ALGORITHM = 2
# The fold of an image that is never validated on.
LEFT_OUT = -1


def assign_folds(
    train: pd.DataFrame,
    n_folds: int,
    seed: int,
    scheme: Scheme = "balanced",
    groups: Groups | None = None,
    balance_on: Sequence[str] = (),
) -> FoldArray:
    """Assign each image to one of `n_folds` folds.

    Args:
        train: A row per image: image_name, target (0 or 1) and what there is of patient_id, sex,
            age, site and diagnosis.
        n_folds: At least 2.
        seed: The same seed gives the same folds for the same table, whatever the order of its rows
            and the names of its patients (the latter not for `grouped`).
        scheme: `balanced` keeps all images of a patient on one side and balances images, melanomas,
            patients, patient size, sex, site, age and diagnosis at once, and the melanomas of each
            sex, site and so on; `grouped` keeps patients
            together and balances the target (scikit-learn's StratifiedGroupKFold); `stratified`
            balances the target only and puts patients on both sides, which makes a validation
            score too good to be true: for comparison, or for tables whose rows are independent.
        groups: Shape (n_images,), who belongs together; by default the patients.
        balance_on: Further columns for `balanced`.

    Returns:
        Shape (n_images,), the fold of each row, 0 to n_folds - 1.

    Raises:
        ConfigError: If there are fewer than 2 folds, the scheme is unknown, or there are too
            few melanomas, patients with one, or benign ones, for each fold to get one.
    """
    if scheme not in get_args(Scheme):
        raise ConfigError(f"--scheme {scheme}: not known. Choose {', '.join(get_args(Scheme))}.")
    if n_folds < 2:
        raise ConfigError(f"--n-folds {n_folds}: cross-validation needs at least 2 folds.")
    if balance_on and scheme != "balanced":
        raise ConfigError(
            f"--balance-on: --scheme {scheme} balances the target only. Choose balanced."
        )
    groups = join_groups(train) if groups is None else groups
    units = np.arange(len(train)) if scheme == "stratified" else groups
    _check_enough_of_each_class(train[TARGET], units, n_folds, scheme)
    if scheme == "balanced":
        codes = factor_codes(factors_of(train, balance_on))
        folds = _balance(train[TARGET].to_numpy(), groups, codes, n_folds, seed)
    else:
        folds = _split_by_scikit_learn(train[TARGET], groups, n_folds, seed, scheme)
    _check_both_classes(train[TARGET].to_numpy(), folds)
    return folds


def _balance(
    targets: npt.NDArray[np.int64],
    groups: Groups,
    codes: Sequence[npt.NDArray[np.int64]],
    n_folds: int,
    seed: int,
) -> FoldArray:
    """Balance folds; a patient with more than half of all images, if of both classes, has one alone."""
    dominant = dominant_group(groups)
    hers = groups == dominant
    if dominant is None or len(np.unique(targets[hers])) < 2 or hers.all():
        return balance_groups(groups, codes, n_folds, seed)
    own = int(np.random.default_rng(seed).integers(n_folds))
    folds = np.full(len(groups), own)
    _, others = np.unique(groups[~hers], return_inverse=True)
    n_left = n_folds - 1
    of_others = [code[~hers] for code in codes]
    left = balance_groups(others, of_others, n_left, seed) if n_left > 1 else np.zeros_like(others)
    folds[~hers] = left + (left >= own)
    return folds


def _split_by_scikit_learn(
    targets: "pd.Series[int]", groups: Groups, n_folds: int, seed: int, scheme: Scheme
) -> FoldArray:
    # Imported here: scikit-learn takes a second, and the default scheme does without.
    from sklearn.model_selection import StratifiedGroupKFold, StratifiedKFold

    if scheme == "grouped":
        splitter = StratifiedGroupKFold(n_folds, shuffle=True, random_state=seed)
        split = splitter.split(targets, targets, groups)
    else:
        split = StratifiedKFold(n_folds, shuffle=True, random_state=seed).split(targets, targets)
    folds = np.full(len(targets), LEFT_OUT, dtype=np.int64)
    for fold, (_, rows) in enumerate(split):
        folds[rows] = fold
    return folds


def _check_enough_of_each_class(
    targets: "pd.Series[int]", units: npt.NDArray[np.int64], n_folds: int, scheme: Scheme
) -> None:
    unit = "images" if scheme == "stratified" else "patients"
    for target, name in [(1, "melanoma (target 1)"), (0, "benign (target 0)")]:
        found = len(np.unique(units[targets.to_numpy() == target]))
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
