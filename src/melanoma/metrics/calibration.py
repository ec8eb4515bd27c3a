"""How near predicted probabilities come to what happened: lower is better."""

import numpy as np
import numpy.typing as npt

from melanoma.metrics.checks import Codes, Flags, Floats, as_scored
from melanoma.metrics.ranks import average_ranks


def brier_score(targets: npt.ArrayLike, predictions: npt.ArrayLike) -> float:
    """The mean squared difference of probability and outcome.

    Args:
        targets: Shape (n,), 0 or 1.
        predictions: Shape (n,), the probability of a 1, in [0, 1].

    Returns:
        In [0, 1], 0 for certainty that is always right.

    Raises:
        ValueError: If the shapes differ, there are no rows, or a value is no probability.

    Source: Brier, Monthly Weather Review 78:1-3, 1950 (half of his sum over two classes).

    >>> brier_score([0, 1], [0.0, 0.5])
    0.125
    """
    positive, scores = _as_probabilities(targets, predictions)
    return float(np.mean((scores - positive) ** 2))


def calibration_error(
    targets: npt.ArrayLike, predictions: npt.ArrayLike, n_bins: int = 10
) -> float:
    """Expected calibration error over bins that hold equal numbers of predictions.

    The mean over rows of how far, in a row's bin, the mean probability is from the share of
    positives. Bins of equal count rather than width: nearly all probabilities of a rare disease
    would share the first bin. Equal probabilities share a bin.

    Args:
        targets: Shape (n,), 0 or 1.
        predictions: Shape (n,), the probability of a 1, in [0, 1].
        n_bins: At least 1.

    Returns:
        In [0, 1].

    Raises:
        ValueError: If the shapes differ, there are no rows, a value is no probability, or there
            is no bin.

    Source: Naeini, Cooper & Hauskrecht, AAAI 2015; equal counts as in Roelofs et al., AISTATS 2022.

    >>> calibration_error([0, 0, 1, 1], [0.25, 0.25, 0.5, 0.5], n_bins=2)
    0.375
    """
    positive, scores = _as_probabilities(targets, predictions)
    bins = calibration_bins(scores, n_bins)
    return float(np.abs(np.bincount(bins, weights=scores - positive)).sum() / scores.size)


def calibration_bins(predictions: Floats, n_bins: int = 10) -> Codes:
    """The bin of each prediction, the lowest first: of equal count, but equal ones share one.

    Args:
        predictions: Shape (n,), finite.
        n_bins: At least 1; where predictions are equal, some of them may be empty.

    Returns:
        Shape (n,), from 0 to n_bins - 1.

    Raises:
        ValueError: If there is no bin.

    >>> calibration_bins(np.array([0.1, 0.4, 0.4, 0.9]), n_bins=2).tolist()
    [0, 1, 1, 1]
    """
    if n_bins < 1:
        raise ValueError(f"n_bins {n_bins} must be at least 1")
    bins: Codes = ((average_ranks(predictions) - 0.5) / predictions.size * n_bins).astype(np.int64)
    return bins


def _as_probabilities(targets: npt.ArrayLike, predictions: npt.ArrayLike) -> tuple[Flags, Floats]:
    positive, scores = as_scored(targets, predictions)
    if not scores.size:
        raise ValueError("there are no predictions")
    if scores.min() < 0 or scores.max() > 1:
        raise ValueError("predictions must be probabilities, in [0, 1]")
    return positive, scores
