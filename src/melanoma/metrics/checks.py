"""What every metric asks of its arrays."""

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
Codes = npt.NDArray[np.int64]
Flags = npt.NDArray[np.bool_]


def as_scored(targets: npt.ArrayLike, predictions: npt.ArrayLike) -> tuple[Flags, Floats]:
    """Which rows are positive, and the rows' predictions.

    Raises:
        ValueError: If the shapes differ, a target is not 0 or 1, or a prediction not finite.
    """
    given = np.asarray(targets)
    positive, scores = given.astype(bool), as_finite(predictions)
    if positive.shape != scores.shape or scores.ndim != 1:
        raise ValueError(
            f"targets {positive.shape} and predictions {scores.shape} must be 1-D alike"
        )
    if not np.array_equal(given, positive):
        raise ValueError("targets must be 0 or 1")
    return positive, scores


def as_two_classes(
    targets: npt.ArrayLike,
    predictions: npt.ArrayLike,
    metric: str = "the area under the ROC curve",
) -> tuple[Flags, Floats]:
    """As `as_scored`, for a metric that compares positives with negatives.

    Raises:
        ValueError: As `as_scored`, or if only one class is present.
    """
    positive, scores = as_scored(targets, predictions)
    if positive.all() or not positive.any():
        raise ValueError(f"{metric} needs both classes")
    return positive, scores


def as_finite(predictions: npt.ArrayLike) -> Floats:
    """As 64-bit floats.

    Raises:
        ValueError: If one is not finite.
    """
    scores = np.asarray(predictions, dtype=np.float64)
    if not np.isfinite(scores).all():
        raise ValueError("predictions must be finite")
    return scores


def as_codes(names: npt.ArrayLike, rows: npt.ArrayLike, what: str) -> Codes:
    """Numbers from 0 for the sorted distinct names, so that the order of rows changes nothing.

    Args:
        names: Shape (n,), of groups such as patients: numbers or text.
        rows: Shape (n,), anything with a value per row.
        what: The names' name, for messages.

    Raises:
        ValueError: If the shapes differ, or a name is missing (None, NaN or NA).
    """
    given, shape = np.asarray(names), np.shape(rows)
    if given.shape != shape or given.ndim != 1:
        raise ValueError(f"{what} {given.shape} and rows {shape} must be 1-D alike")
    # NaN does not equal itself, and pandas' NA answers neither yes nor no. Whole numbers are all there.
    to_check = [] if given.dtype.kind in "iu" else given.tolist()
    n_missing = sum(name is None or (name == name) is not True for name in to_check)
    if n_missing:
        raise ValueError(f"{n_missing} of {given.size} {what} are missing")
    codes: Codes = np.unique(given, return_inverse=True)[1]
    return codes
