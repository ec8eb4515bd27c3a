"""What is looked at before a submission is spent."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pandas as pd

from melanoma.ensemble.table import p_as_text
from melanoma.errors import TableError, name_some
from melanoma.metrics import holm, ks_distance, ks_p_value
from melanoma.metrics.checks import Codes, Floats
from melanoma.tables import IMAGE_NAME, TARGET, check_image_names, check_probabilities

QUANTILES = (0.05, 0.25, 0.5, 0.75, 0.95)
# How often test images that are drawn as the training images were may be called shifted, whatever the
# number of runs. It is the shifts' part of the 5 % of reports that may raise a false alarm: see
# melanoma.report.alarms.
SHIFT_LEVEL = 0.01
# A tenth of the images on the other side of some threshold: less matters little, however sure it is.
_LARGE_SHIFT = 0.1

_AVERAGED = "; a mean over several networks is nearer the middle without any shift"


@dataclass(frozen=True)
class Shift:
    """How far a run's predictions of test images are distributed unlike those out of fold.

    Attributes:
        run: Its name.
        distance: The Kolmogorov-Smirnov statistic: the largest difference, over thresholds, of the
            shares of images below it, in [0, 1].
        is_large: Whether it is at least 0.1 and beyond chance: the p-value is at most `SHIFT_LEVEL`.
        oof_quantiles: Of the out-of-fold predictions, at `QUANTILES`.
        test_quantiles: Of the test predictions.
        averaged: Whether each test prediction may be a mean over networks already.
        p_value: How often patients drawn alike are as far apart (`ks_p_value`), corrected for the
            number of runs looked at.
        n_runs: That number.
    """

    run: str
    distance: float
    is_large: bool
    oof_quantiles: list[float]
    test_quantiles: list[float]
    averaged: bool
    p_value: float
    n_runs: int = 1

    def as_text(self) -> str:
        """A warning with the numbers."""
        return (
            f"shift: {self.run} predicts test images unlike training images: the shares below a "
            f"threshold differ by up to {100 * self.distance:.0f} points, more than chance among "
            f"patients ({p_as_text(self.p_value, self.n_runs, 'runs')}); quantiles "
            f"{_percents(QUANTILES)} %: {_percents(self.test_quantiles)} % on test, "
            f"{_percents(self.oof_quantiles)} % out of fold. See whether the photographs differ in "
            f"source or size{_AVERAGED * self.averaged}."
        )


def measure_shift(
    run: str,
    oof: Floats,
    test: Floats,
    patients: Codes | None = None,
    test_patients: Codes | None = None,
) -> Shift:
    """Compare the distributions of a run's predictions.

    Args:
        run: Its name.
        oof: Shape (n_rows,): each by one network.
        test: Shape (n_networks, n_test): by each network, and not their mean, whose distribution is
            narrower without any shift.
        patients: Whose image each row is, shape (n_rows,); by default each is of its own patient.
        test_patients: Whose image each test image is, shape (n_test,); likewise.
    """
    distance = ks_distance(oof, test.ravel())
    owners = np.arange(oof.size) if patients is None else patients
    test_owners = np.arange(test.shape[1]) if test_patients is None else test_patients
    p_value = ks_p_value(oof, test, owners, test_owners)
    return Shift(
        run=run,
        distance=distance,
        is_large=_is_large(distance, p_value),
        oof_quantiles=np.quantile(oof, QUANTILES).tolist(),
        test_quantiles=np.quantile(test, QUANTILES).tolist(),
        averaged=len(test) == 1,
        p_value=p_value,
    )


def correct_shifts(shifts: Sequence[Shift]) -> list[Shift]:
    """Correct the p-values of several runs for their number, by Holm's method.

    Args:
        shifts: Each as `measure_shift` gives it.
    """
    corrected = holm([shift.p_value for shift in shifts]).tolist()
    return [
        replace(
            shift,
            p_value=p_value,
            n_runs=len(shifts),
            is_large=_is_large(shift.distance, p_value),
        )
        for shift, p_value in zip(shifts, corrected)
    ]


def _is_large(distance: float, p_value: float) -> bool:
    return distance >= _LARGE_SHIFT and p_value <= SHIFT_LEVEL


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
