"""Looking at a blend before its submission is spent."""

from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from melanoma.ensemble.checks import Shift, correct_shifts, measure_shift, warn_of_columns
from melanoma.ensemble.elsewhere import read_submissions
from melanoma.ensemble.picture import draw_shifts
from melanoma.ensemble.predictions import Predictions
from melanoma.errors import name_some
from melanoma.metrics import spearman_matrix
from melanoma.metrics.checks import Codes, Floats
from melanoma.tables import IMAGE_NAME

_LEAK = "leak"


@dataclass
class Review:
    """What was found.

    Attributes:
        warnings: A line each; empty where all is well.
        shifts: Of each run that has predictions out of fold and on test images.
        picture: A PNG file of the large ones; None without any.
        correlation: Spearman's, with an earlier submission; None without one.
    """

    warnings: list[str] = field(default_factory=list)
    shifts: list[Shift] = field(default_factory=list)
    picture: bytes | None = None
    correlation: float | None = None

    def lines(self) -> list[str]:
        """The warnings, and the correlation."""
        lines = [f"warning: {warning}" for warning in self.warnings]
        if self.correlation is not None:
            lines.append(
                f"Spearman's correlation with the earlier submission: {self.correlation:.4f}"
            )
        return lines

    def as_dict(self) -> dict[str, Any]:
        """For JSON."""
        return {
            "warnings": self.warnings,
            "shifts": [asdict(shift) for shift in self.shifts],
            "correlation_with_previous": self.correlation,
        }


def is_leak(warning: str) -> bool:
    """Whether a warning of a review is that patients are on both sides of a split."""
    return warning.startswith(_LEAK)


def review_runs(predictions: Predictions, test_patients: Codes | None = None) -> Review:
    """Look at the predictions of runs: constant or equal ones, leaks, and shifts.

    Args:
        predictions: Of the runs.
        test_patients: Whom the test images are of, shape (n_test,); where that is not known, each is
            taken as a patient of its own, and a shift is called large more easily.
    """
    names = predictions.names
    review = Review(warn_of_columns(dict(zip(names, predictions.oof)), "out of fold"))
    review.warnings += _warn_of_leaks(predictions)
    if not predictions.test:
        return review
    review.warnings += warn_of_columns(dict(zip(names, predictions.test)), "on test images")
    sides = list(zip(names, predictions.oof, predictions.test))
    owners = predictions.patients, test_patients
    review.shifts = correct_shifts([measure_shift(*side, *owners) for side in sides])
    large = [(shift, *side[1:]) for shift, side in zip(review.shifts, sides) if shift.is_large]
    if large:
        review.warnings += [shift.as_text() for shift, *_ in large]
        review.picture = draw_shifts(*zip(*large))
    return review


def correlate_with(previous: Path, test_names: "pd.Series[str]", test: Floats) -> float:
    """Spearman's correlation of a submission with an earlier one of the same images.

    Raises:
        TableError: If the earlier one is no submission, or of other images.
    """
    _, earlier = read_submissions([previous], test_names.to_frame(IMAGE_NAME))
    return float(spearman_matrix(np.array([test, earlier[0]]))[0, 1])


def _warn_of_leaks(predictions: Predictions) -> list[str]:
    warnings = []
    splits = np.unique(predictions.own_folds, axis=0)
    split = max(_n_split(predictions.patients, folds) for folds in splits)
    if split:
        warnings.append(
            f"{_LEAK}: {split} patients are in two folds, so that all scores here are flattered. Make "
            "folds with scripts/create_folds.py."
        )
    if predictions.test_names is not None:
        both = predictions.table.loc[
            predictions.table[IMAGE_NAME].isin(predictions.test_names), IMAGE_NAME
        ]
        if len(both):
            warnings.append(
                f"overlap: {name_some(both)} both among the test images and in train.csv. Check that "
                "the tables belong together."
            )
    return warnings


def _n_split(patients: Codes, folds: Codes) -> int:
    return int((pd.Series(folds).groupby(patients).nunique() > 1).sum())
