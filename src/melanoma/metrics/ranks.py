"""Ranks of predictions, and what depends on them alone."""

import numpy as np
import numpy.typing as npt

from melanoma.metrics.checks import Floats, as_codes, as_finite


def average_ranks(values: npt.NDArray[np.float64]) -> Floats:
    """Ranks 1..n of finite values, equal values sharing the mean of their ranks.

    >>> average_ranks(np.array([3.0, 1.0, 3.0])).tolist()
    [2.5, 1.0, 2.5]
    """
    order = np.argsort(values)
    ordered = values[order]
    starts = np.flatnonzero(np.r_[True, ordered[1:] != ordered[:-1]])
    counts = np.diff(starts, append=len(ordered))
    ranks = np.empty(len(ordered))
    ranks[order] = np.repeat(starts + (counts + 1) / 2, counts)
    return ranks


def rank_within(groups: npt.ArrayLike, predictions: npt.ArrayLike) -> Floats:
    """Each prediction's rank among those of its group, as a share strictly between 0 and 1.

    The rank r of n is given as (r - 1/2) / n, equal predictions sharing the mean of theirs: the
    mean of every group is 1/2 whatever its size, and a group of one is at 1/2.

    Args:
        groups: Shape (n,), such as folds or patients.
        predictions: Shape (n,), finite.

    Returns:
        Shape (n,), in (0, 1).

    Raises:
        ValueError: If the shapes differ, a prediction is not finite, or a group is missing.

    >>> rank_within([0, 0, 1, 1, 1], [0.2, 0.1, 0.9, 0.3, 0.3]).round(3).tolist()
    [0.75, 0.25, 0.833, 0.333, 0.333]
    """
    scores = as_finite(predictions)
    codes = as_codes(groups, scores, "groups")
    # Ranks are exact halves, so that a group's block of keys lies wholly above the one before.
    keys = codes * (len(scores) + 1.0) + average_ranks(scores)
    sizes = np.bincount(codes)
    before = np.cumsum(sizes) - sizes
    shares: Floats = (average_ranks(keys) - before[codes] - 0.5) / sizes[codes]
    return shares


def spearman_matrix(predictions: npt.ArrayLike) -> Floats:
    """Spearman's rank correlation of every two runs, ties at the mean of their ranks.

    Args:
        predictions: Shape (n_runs, n), finite.

    Returns:
        Shape (n_runs, n_runs), in [-1, 1], symmetric; nan in the row and column of a run whose
        predictions are all equal, which has no ranking to compare.

    Raises:
        ValueError: If the shape is another, or a prediction is not finite.

    >>> spearman_matrix([[0.1, 0.2, 0.3], [0.5, 0.7, 0.6]]).tolist()
    [[1.0, 0.5], [0.5, 1.0]]
    """
    scores = as_finite(predictions)
    if scores.ndim != 2:
        raise ValueError(f"predictions {scores.shape} must be (runs, rows)")
    centred = np.array([average_ranks(run) for run in scores]) - (scores.shape[1] + 1) / 2
    # Not a matrix product: the first one of a process wakes BLAS's threads, which can take longer.
    covariance = np.einsum("ir,jr->ij", centred, centred)
    variance = np.diag(covariance)
    scale = np.sqrt(np.outer(variance, variance))
    scale[scale == 0] = np.nan
    matrix: Floats = np.clip(covariance / scale, -1.0, 1.0)
    return matrix
