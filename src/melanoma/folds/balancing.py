"""Dealing whole groups of images to folds so that every fold looks like the whole table.

Pure functions of arrays. A group is a patient, whose images must stay together, so balancing is
number partitioning in as many dimensions as there are things to count. Groups are dealt in order
of their size (greedy partitioning), then pairs of them are exchanged between folds while that
helps (local search by pairwise exchange: Kernighan & Lin, Bell System Technical Journal
49:291-307, 1970). To balance several labels at once and the rare ones relatively better is the
idea of iterative stratification (Sechidis et al., ECML PKDD 2011, 145-158). The positives with each
value are counted like further labels: a fold's score depends on who its positives are.

All sums that decide are of whole numbers, which float64 adds exactly in any order: the folds do
not depend on the processor, the number of threads or the linear algebra library.
"""

from collections.abc import Sequence

import numpy as np

from melanoma.errors import ConfigError
from melanoma.folds.exchange import CLASSES, IMAGES, N_STRATA, POSITIVES, Codes, Numbers, Search


def balance_groups(groups: Codes, factors: Sequence[Codes], n_folds: int, seed: int) -> Codes:
    """Assign groups of images to folds, all factors balanced at once and no group split.

    First come the numbers of images and of positives in each fold, then that of groups of each
    size (see `size_strata`), which differ by at most one where the groups allow it. Then come the
    images and the positives with each value of each factor, and the positives in groups of each
    size. A group larger than a fold's due leaves its fold too large.

    Args:
        groups: Shape (n_images,), the group of each image, numbered from 0 in an order that does
            not depend on the order of the rows.
        factors: Arrays of shape (n_images,) with codes from 0. The first is the target: 0 or 1.
        n_folds: At least 2.
        seed: The same seed gives the same folds whatever the order of the rows.

    Returns:
        Shape (n_images,), the fold of each image, 0 to n_folds - 1. Every fold has a positive
        and a negative image, and the numbers of groups in two folds differ by at most one.

    Raises:
        ConfigError: If fewer groups than folds have an image of one of the two classes.
        ValueError: If the shapes differ, a code is negative or a target is neither 0 nor 1.

    >>> patients, target = np.array([0, 0, 1, 1, 2, 3]), np.array([1, 0, 0, 0, 0, 1])
    >>> balance_groups(patients, [target], n_folds=2, seed=0).tolist()
    [0, 0, 1, 1, 0, 1]
    """
    _check_codes(groups, factors)
    members = np.unique(groups, return_inverse=True)[1]
    strata = size_strata(np.bincount(members))
    counts = _count(members, factors, strata)
    _check_enough_groups(counts, n_folds)
    rng = np.random.default_rng(seed)
    search = Search(counts, _deal(counts, strata, n_folds, rng), n_folds, rng)
    search.give_each_fold_both_classes()
    search.balance(strata)
    return search.folds[members]


def size_strata(sizes: Codes) -> Codes:
    """Sort groups into at most 8 bins of about equally many by their number of images.

    The bins are those of `pandas.qcut(sizes, 8, duplicates="drop")`.

    Args:
        sizes: Shape (n_groups,), images of each group.

    Returns:
        Shape (n_groups,), the bin of each group; groups of one size share a bin.

    >>> size_strata(np.array([1, 1, 1, 1, 1, 2, 9, 40])).tolist()
    [0, 0, 0, 0, 0, 1, 2, 3]
    """
    edges = np.unique(np.quantile(sizes, np.linspace(0, 1, N_STRATA + 1)))
    return np.searchsorted(edges[1:-1], sizes).astype(np.int64)


def _deal(counts: Numbers, strata: Codes, n_folds: int, rng: np.random.Generator) -> Codes:
    """Deal groups of falling size round after round, each round in a random order of the folds.

    Rounds that straddle two strata, and the last, have one order in common: so each stratum,
    too, is dealt evenly to within one group.
    """
    n_groups = len(counts)
    order = np.lexsort((rng.random(n_groups), -counts[:, POSITIVES], -counts[:, IMAGES]))
    n_rounds = -(-n_groups // n_folds)
    rounds = rng.permuted(np.tile(np.arange(n_folds), (n_rounds, 1)), axis=1)
    starts = np.flatnonzero(np.diff(strata[order])) + 1
    rounds[starts[starts % n_folds > 0] // n_folds] = rounds[-1]
    folds = np.empty(n_groups, dtype=np.int64)
    folds[order] = rounds.ravel()[:n_groups]
    return folds


def _count(members: Codes, factors: Sequence[Codes], strata: Codes) -> Numbers:
    """Count what is balanced, a row per group; `exchange` names the columns that it treats apart."""
    sizes = np.bincount(members)
    target, *others = factors
    values = [_count_values(members, codes, len(sizes)) for codes in factors]
    positives = [
        _count_values(members, np.where(target == 1, codes + 1, 0), len(sizes))[:, 1:]
        for codes in (*others, strata[members])
    ]
    has_class = values[0] > 0
    in_stratum = strata[:, None] == np.arange(N_STRATA)
    columns = [sizes[:, None], *values, *positives, has_class, in_stratum]
    return np.concatenate(columns, axis=1, dtype=np.float64)


def _count_values(members: Codes, codes: Codes, n_groups: int) -> Codes:
    n_codes = max(int(codes.max()) + 1, 2)
    cells = np.bincount(members * n_codes + codes, minlength=n_groups * n_codes)
    return cells.reshape(n_groups, n_codes)


def _check_codes(groups: Codes, factors: Sequence[Codes]) -> None:
    if any(codes.shape != groups.shape for codes in factors) or groups.ndim != 1:
        shapes = [codes.shape for codes in (groups, *factors)]
        raise ValueError(f"groups and factors must be 1-D alike, not {shapes}")
    if any(codes.min() < 0 for codes in factors) or factors[0].max() > 1:
        raise ValueError("codes are numbered from 0, and the first factor is the target: 0 or 1")


def _check_enough_groups(counts: Numbers, n_folds: int) -> None:
    for target, found in enumerate(counts[:, CLASSES].sum(axis=0).astype(int).tolist()):
        if found < n_folds:
            remedy = f"Choose --n-folds {found} or fewer." if found > 1 else "Check the targets."
            raise ConfigError(
                f"--n-folds {n_folds}: fold {found} would have no image with target {target}, "
                f"because only {found} groups have one. {remedy}"
            )
