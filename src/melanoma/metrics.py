"""Scores of predictions: pure functions of arrays. A score is higher-is-better."""

import numpy as np
import numpy.typing as npt


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
    positive = np.asarray(targets).astype(bool)
    scores = np.asarray(predictions, dtype=np.float64)
    if positive.shape != scores.shape or scores.ndim != 1:
        raise ValueError(
            f"targets {positive.shape} and predictions {scores.shape} must be 1-D alike"
        )
    if not np.isfinite(scores).all():
        raise ValueError("predictions must be finite")
    n_positive = int(positive.sum())
    n_negative = positive.size - n_positive
    if n_positive == 0 or n_negative == 0:
        raise ValueError("the area under the ROC curve needs both classes")
    rank_sum = float(average_ranks(scores)[positive].sum())
    return (rank_sum - n_positive * (n_positive + 1) / 2) / (n_positive * n_negative)


def average_ranks(values: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Ranks 1..n of finite values, equal values sharing the mean of their ranks.

    >>> average_ranks(np.array([3.0, 1.0, 3.0])).tolist()
    [2.5, 1.0, 2.5]
    """
    _, inverse, counts = np.unique(values, return_inverse=True, return_counts=True)
    last = np.cumsum(counts)
    mean_ranks: npt.NDArray[np.float64] = last - (counts - 1) / 2
    return mean_ranks[inverse]
