"""How near predicted probabilities come to what happened: lower is better."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from melanoma.metrics.checks import Codes, Flags, Floats, as_finite, as_scored
from melanoma.metrics.ranks import average_ranks

# A bin of the calibration error is cut into so many, whose predictions are nearly equal.
_CUTS = 20


@dataclass(frozen=True)
class CalibratedError:
    """The calibration error of a perfectly calibrated model, which scatters about its predictions.

    Attributes:
        mean: The mean over samples of targets, in [0, 1].
        high: The 95th percentile.
    """

    mean: float
    high: float


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


def calibrated_error(
    predictions: npt.ArrayLike, n_bins: int = 10, n_draws: int = 500, seed: int = 0
) -> CalibratedError:
    """What `calibration_error` would be if each probability came true as often as it says.

    Targets are drawn from the predictions. Each bin is cut into twenty, and the positives of each
    are drawn together, from a binomial distribution of their mean probability. It is the exact
    distribution for up to 200 predictions in ten bins, and nearly so for more.

    Args:
        predictions: Shape (n,), the probability of a 1, in [0, 1].
        n_bins: At least 1.
        n_draws: Samples of targets.
        seed: Of the draws, which do not depend on the order of rows.

    Raises:
        ValueError: If there are no predictions, one is no probability, or there is no bin.

    Source: Bröcker & Smith, Weather and Forecasting 22:651-661, 2007 (consistency resampling).

    >>> calibrated_error([0.0, 0.0, 1.0])
    CalibratedError(mean=0.0, high=0.0)
    """
    scores = _as_shares(as_finite(predictions))
    bins = calibration_bins(scores, n_bins)
    # Numbered within their bins: rounding must not let a cut reach into two.
    cuts = bins * (n_bins * _CUTS) + calibration_bins(scores, n_bins * _CUTS)
    _, first, cut = np.unique(cuts, return_index=True, return_inverse=True)
    sizes, expected = np.bincount(cut), np.bincount(cut, weights=scores)
    random = np.random.default_rng(seed)
    positives = random.binomial(sizes, np.minimum(1, expected / sizes), (n_draws, sizes.size))
    starts = np.flatnonzero(np.diff(bins[first], prepend=-1))
    gaps = np.add.reduceat(positives - expected, starts, axis=1)
    errors = np.abs(gaps).sum(axis=1) / scores.size
    return CalibratedError(float(errors.mean()), float(np.quantile(errors, 0.95)))


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
    return positive, _as_shares(scores)


def _as_shares(scores: Floats) -> Floats:
    if not scores.size:
        raise ValueError("there are no predictions")
    if scores.min() < 0 or scores.max() > 1:
        raise ValueError("predictions must be probabilities, in [0, 1]")
    return scores
