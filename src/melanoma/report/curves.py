"""ROC and precision-recall curves, thinned so that nobody can see it."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from melanoma.ensemble.methods import Codes
from melanoma.metrics.checks import Floats

# A curve is drawn some 500 pixels wide: what moves it by less cannot be seen.
GRID = 1000


@dataclass(frozen=True)
class Curve:
    """Points of a curve.

    Attributes:
        x: Shape (n_points,), in [0, 1].
        y: Likewise.
    """

    x: Floats
    y: Floats


def roc(targets: Codes, scores: Floats) -> Curve:
    """1 - specificity and sensitivity, of every threshold.

    Args:
        targets: Shape (n,), 0 or 1, both present.
        scores: Shape (n,), finite.
    """
    from sklearn.metrics import roc_curve  # slow to import

    false_rate, true_rate, _ = roc_curve(targets, scores)
    return thin(false_rate, true_rate)


def precision_recall(targets: Codes, scores: Floats) -> Curve:
    """Recall and precision of every threshold, the lowest threshold first.

    The area under its steps (first along, then up or down) is the average precision.
    """
    from sklearn.metrics import precision_recall_curve  # slow to import

    precision, recall, _ = precision_recall_curve(targets, scores, drop_intermediate=True)
    return thin(recall, precision)


def thin(x: npt.NDArray[np.float64], y: npt.NDArray[np.float64]) -> Curve:
    """Leave out points that are nearer than a thousandth of the axes to both of their neighbours.

    Of the points that follow each other within one cell of a grid of 1000 by 1000, the first and the
    last are kept: no part of the curve moves by more than a cell. What is drawn is thinned, nothing
    that is computed.

    >>> thin(np.array([0, 0.0001, 0.0002, 1]), np.zeros(4)).x.tolist()
    [0.0, 0.0002, 1.0]
    """
    cells = np.column_stack([x, y]) * GRID
    moves = (np.diff(np.floor(cells), axis=0) != 0).any(axis=1)
    kept = np.r_[True, moves] | np.r_[moves, True]
    return Curve(np.asarray(x, dtype=np.float64)[kept], np.asarray(y, dtype=np.float64)[kept])
