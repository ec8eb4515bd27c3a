"""DeLong's variance of an AUC, and his test of the difference of two."""

import math
from dataclasses import dataclass

import numpy.typing as npt

from melanoma.metrics.checks import Floats, as_two_classes
from melanoma.metrics.ranks import average_ranks

Placements = tuple[Floats, Floats]


@dataclass(frozen=True)
class DeLongTest:
    """The difference of two AUCs measured on the same rows.

    Attributes:
        difference: The first minus the second.
        standard_error: Of the difference.
        z: difference / standard_error.
        p_value: Two-sided, in [0, 1].
    """

    difference: float
    standard_error: float
    z: float
    p_value: float


def delong_variance(targets: npt.ArrayLike, predictions: npt.ArrayLike) -> float:
    """The variance of an AUC over samples of independent rows.

    Rows of one patient are not independent: use `PatientBootstrap` where patients have several.

    Args:
        targets: Shape (n,), 0 or 1, at least two of each.
        predictions: Shape (n,), finite; larger means more likely to be 1.

    Raises:
        ValueError: If the shapes differ, a value is not finite, or a class has fewer than two rows.

    Sources: DeLong, DeLong & Clarke-Pearson, Biometrics 44:837-845, 1988; computed from ranks as in
    Sun & Xu, IEEE Signal Processing Letters 21:1389-1393, 2014.

    >>> delong_variance([0, 0, 1, 1], [0.1, 0.4, 0.35, 0.8])
    0.125
    """
    return _variance(*placements(targets, predictions))


def delong_test(targets: npt.ArrayLike, a: npt.ArrayLike, b: npt.ArrayLike) -> DeLongTest:
    """Test whether two predictions of the same independent rows have the same AUC.

    Where the standard error is 0, predictions of equal AUC have p-value 1, others 0.

    Args:
        targets: Shape (n,), 0 or 1, at least two of each.
        a: Shape (n,), finite predictions.
        b: Likewise.

    Raises:
        ValueError: If the shapes differ, a value is not finite, or a class has fewer than two rows.

    Sources: as `delong_variance`.
    """
    return compare_placements(placements(targets, a), placements(targets, b))


def compare_placements(a: Placements, b: Placements) -> DeLongTest:
    """`delong_test` where many are compared with each other, and each is placed once.

    Args:
        a: What `placements` gives for the first predictions.
        b: Likewise for the second, of the same rows.
    """
    of_positives, of_negatives = (x - y for x, y in zip(a, b))
    difference = float(of_positives.mean())
    error = math.sqrt(_variance(of_positives, of_negatives))
    if error == 0:
        z = math.copysign(math.inf, difference) if difference else 0.0
    else:
        z = difference / error
    return DeLongTest(difference, error, z, p_value=math.erfc(abs(z) / math.sqrt(2)))


def placements(targets: npt.ArrayLike, predictions: npt.ArrayLike) -> Placements:
    """The share of the other class that each row is ranked rightly against, ties counted half.

    Returns:
        Of the positives, then of the negatives; the mean of either is the AUC.

    Raises:
        ValueError: If the shapes differ, a value is not finite, or a class has fewer than two rows.
    """
    positive, scores = as_two_classes(targets, predictions)
    n_positive = int(positive.sum())
    n_negative = positive.size - n_positive
    if min(n_positive, n_negative) < 2:
        raise ValueError("DeLong's variance needs two rows of each class")
    ranks = average_ranks(scores)
    above = ranks[positive] - average_ranks(scores[positive])
    not_below = ranks[~positive] - average_ranks(scores[~positive])
    return above / n_negative, 1 - not_below / n_positive


def _variance(of_positives: Floats, of_negatives: Floats) -> float:
    return float(
        of_positives.var(ddof=1) / of_positives.size + of_negatives.var(ddof=1) / of_negatives.size
    )
