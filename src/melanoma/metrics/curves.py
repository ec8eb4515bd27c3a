"""Areas under, and points on, the ROC and the precision-recall curve."""

import math

import numpy as np
import numpy.typing as npt

from melanoma.metrics.checks import as_two_classes


def auc(targets: npt.ArrayLike, predictions: npt.ArrayLike) -> float:
    """Area under the ROC curve, from ranks (the Mann-Whitney U statistic), ties counted half.

    Args:
        targets: Shape (n,), 0 or 1.
        predictions: Shape (n,), finite; larger means more likely to be 1.

    Returns:
        The probability, in [0, 1], that a random positive is ranked above a random negative.

    Raises:
        ValueError: If the shapes differ, a value is not finite, or only one class is present.

    Source: Hanley & McNeil, Radiology 143:29-36, 1982.

    >>> auc([0, 0, 1, 1], [0.1, 0.4, 0.35, 0.8])
    0.75
    """
    positive, scores = as_two_classes(targets, predictions)
    # Sorted needles walk the sorted haystack in order: several times faster than ranking all.
    positives, negatives = np.sort(scores[positive]), np.sort(scores[~positive])
    below = np.searchsorted(negatives, positives, side="left").sum()
    not_above = np.searchsorted(negatives, positives, side="right").sum()
    return float(below + not_above) / 2 / (positives.size * negatives.size)


def average_precision(targets: npt.ArrayLike, predictions: npt.ArrayLike) -> float:
    """Area under the precision-recall curve as a step function: the mean precision at positives.

    Unlike the AUC it depends on the share of positives, which is what random predictions score.

    Args:
        targets: Shape (n,), 0 or 1.
        predictions: Shape (n,), finite; larger means more likely to be 1.

    Returns:
        In (0, 1].

    Raises:
        ValueError: If the shapes differ, a value is not finite, or only one class is present.

    >>> round(average_precision([0, 0, 1, 1], [0.1, 0.4, 0.35, 0.8]), 4)
    0.8333
    """
    positive, scores = as_two_classes(targets, predictions, "average precision")
    positives, everything = np.sort(scores[positive]), np.sort(scores)
    # At the threshold of each positive: how many positives, and rows, are not below it.
    found = positives.size - np.searchsorted(positives, positives, side="left")
    called = everything.size - np.searchsorted(everything, positives, side="left")
    return float((found / called).mean())


def sensitivity_at_specificity(
    targets: npt.ArrayLike, predictions: npt.ArrayLike, specificity: float = 0.9
) -> float:
    """The highest sensitivity of any threshold whose specificity is at least the given one.

    Only thresholds that exist count: between two of them nothing is interpolated.

    Args:
        targets: Shape (n,), 0 or 1.
        predictions: Shape (n,), finite; larger means more likely to be 1.
        specificity: The least share of negatives to be called negative, in [0, 1].

    Returns:
        The share of positives that are called positive, in [0, 1].

    Raises:
        ValueError: If the shapes differ, a value is not finite, only one class is present, or
            the specificity is outside [0, 1].

    >>> sensitivity_at_specificity([0, 0, 1, 1], [0.1, 0.4, 0.35, 0.8], specificity=0.5)
    1.0
    """
    positive, scores = as_two_classes(targets, predictions, "sensitivity at a specificity")
    if not 0 <= specificity <= 1:
        raise ValueError(f"specificity {specificity} must be in [0, 1]")
    negatives = np.sort(scores[~positive])
    # Rounding must not ask for one more: 0.07 * 100 is 7.000000000000001.
    n_called_negative = math.ceil(specificity * negatives.size - 1e-9)
    if n_called_negative == 0:
        return 1.0
    return float((scores[positive] > negatives[n_called_negative - 1]).mean())
