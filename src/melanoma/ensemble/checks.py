"""What is looked at before a submission is spent."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from melanoma.errors import TableError, name_some
from melanoma.metrics.checks import Floats
from melanoma.tables import IMAGE_NAME, TARGET, check_image_names, check_probabilities

QUANTILES = (0.05, 0.25, 0.5, 0.75, 0.95)
# A tenth of the images on the other side of some threshold: seen by eye, and rare among tests drawn
# as the training images were.
_LARGE_SHIFT = 0.1
# Of the Kolmogorov-Smirnov statistic at a level of 1 %, times sqrt(1/n + 1/m).
_CRITICAL_AT_1_PERCENT = 1.628

_AVERAGED = "; a mean over several networks is nearer the middle without any shift"


@dataclass(frozen=True)
class Shift:
    """How far a run's predictions of test images are distributed unlike those out of fold.

    Attributes:
        run: Its name.
        distance: The Kolmogorov-Smirnov statistic: the largest difference, over thresholds, of the
            shares of images below it, in [0, 1].
        is_large: Whether it is at least 0.1 and beyond chance at a level of 1 %.
        oof_quantiles: Of the out-of-fold predictions, at `QUANTILES`.
        test_quantiles: Of the test predictions.
        averaged: Whether each test prediction may be a mean over networks already.
    """

    run: str
    distance: float
    is_large: bool
    oof_quantiles: list[float]
    test_quantiles: list[float]
    averaged: bool

    def as_text(self) -> str:
        """A warning with the numbers."""
        return (
            f"shift: {self.run} predicts test images unlike training images: the shares below a "
            f"threshold differ by up to {100 * self.distance:.0f} points; quantiles "
            f"{_percents(QUANTILES)} %: {_percents(self.test_quantiles)} % on test, "
            f"{_percents(self.oof_quantiles)} % out of fold. See whether the photographs differ in "
            f"source or size{_AVERAGED * self.averaged}."
        )


def measure_shift(run: str, oof: Floats, test: Floats) -> Shift:
    """Compare the distributions of a run's predictions.

    Args:
        run: Its name.
        oof: Shape (n_rows,): each by one network.
        test: Shape (n_networks, n_test): by each network, and not their mean, whose distribution is
            narrower without any shift.
    """
    distance = ks_distance(oof, test.ravel())
    # Networks agree, so that a test image counts once however many predict it.
    chance = _CRITICAL_AT_1_PERCENT * math.sqrt(1 / oof.size + 1 / test.shape[1])
    return Shift(
        run=run,
        distance=distance,
        is_large=distance >= max(_LARGE_SHIFT, chance),
        oof_quantiles=np.quantile(oof, QUANTILES).tolist(),
        test_quantiles=np.quantile(test, QUANTILES).tolist(),
        averaged=len(test) == 1,
    )


def ks_distance(a: Floats, b: Floats) -> float:
    """The two-sample Kolmogorov-Smirnov statistic, in [0, 1].

    >>> ks_distance(np.array([0.1, 0.2]), np.array([0.2, 0.3]))
    0.5
    """
    a, b = np.sort(a), np.sort(b)
    values = np.concatenate([a, b])
    shares = (np.searchsorted(x, values, side="right") / x.size for x in (a, b))
    return float(np.abs(next(shares) - next(shares)).max())


def warn_of_columns(columns: Mapping[str, Floats], where: str) -> list[str]:
    """A line for each column of predictions that is constant, or equal to an earlier one.

    Args:
        columns: By the name of the run; each of shape (n,) or (n_networks, n).
        where: `out of fold` or `on test images`, for the message.
    """
    warnings = []
    seen: dict[bytes, str] = {}
    for name, values in columns.items():
        if (np.ptp(values, axis=-1) == 0).any():
            warnings.append(
                f"constant: {name} predicts the same for every image {where}. Look at its training, "
                "and leave it out."
            )
        twin = seen.setdefault(values.tobytes(), name)
        if twin != name:
            warnings.append(
                f"identical: {name} and {twin} predict the same {where}, so that one model counts "
                "twice. Leave one out."
            )
    return warnings


def check_submission(submission: pd.DataFrame, sample: pd.DataFrame, path: Path) -> None:
    """Check a submission against the form the competition gives.

    Args:
        submission: Columns image_name and target.
        sample: The form: exactly these ids are wanted.
        path: Of the submission, for messages.

    Raises:
        TableError: For missing, unknown, repeated or reordered ids, or values outside [0, 1].
    """
    check_image_names(submission, path)
    check_probabilities(submission, TARGET, path)
    missing = sample.loc[~sample[IMAGE_NAME].isin(submission[IMAGE_NAME]), IMAGE_NAME]
    unknown = submission.loc[~submission[IMAGE_NAME].isin(sample[IMAGE_NAME]), IMAGE_NAME]
    for ids, what in [(missing, "has no prediction"), (unknown, "is not asked for")]:
        if len(ids):
            raise TableError(
                f"{path}: {name_some(ids)} {what}. Check that test.csv and sample_submission.csv "
                "belong together, then predict again."
            )
    if not np.array_equal(submission[IMAGE_NAME].to_numpy(), sample[IMAGE_NAME].to_numpy()):
        raise TableError(f"{path}: the rows are not in the order of sample_submission.csv.")


def _percents(shares: Sequence[float]) -> str:
    return ", ".join(f"{100 * share:.3g}" for share in shares)
