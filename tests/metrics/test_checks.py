import numpy as np
import numpy.typing as npt
import pandas as pd
import pytest

from melanoma.metrics.checks import as_codes, as_scored, as_two_classes


@pytest.mark.parametrize(
    ("targets", "scores", "message"),
    [
        ([0, 1], [0.1], r"targets \(2,\) and predictions \(1,\) must be 1-D alike"),
        ([[0], [1]], [[0.1], [0.2]], "must be 1-D alike"),
        ([0, 1], [0.1, np.inf], "predictions must be finite"),
        ([0, 2], [0.1, 0.2], "targets must be 0 or 1"),
        ([0, np.nan], [0.1, 0.2], "targets must be 0 or 1"),
    ],
)
def test_targets_and_predictions_are_refused(
    targets: list[float], scores: list[float], message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        as_scored(targets, scores)


def test_a_class_that_is_missing_is_refused_in_the_name_of_the_metric() -> None:
    with pytest.raises(ValueError, match="average precision needs both classes"):
        as_two_classes([0, 0], [0.1, 0.2], "average precision")


@pytest.mark.parametrize("names", [["b", "a", "b"], [7, -1, 7], np.array(["b", "a", "b"], object)])
def test_codes_follow_the_sorted_names(names: npt.ArrayLike) -> None:
    assert as_codes(names, [0, 0, 0], "patients").tolist() == [1, 0, 1]


@pytest.mark.parametrize(
    ("names", "message"),
    [
        (["a", None, pd.NA], "2 of 3 patients are missing"),
        ([1.0, np.nan, np.nan], "2 of 3 patients are missing"),
        (["a", "b"], r"patients \(2,\) and rows \(3,\) must be 1-D alike"),
    ],
)
def test_names_are_refused(names: npt.ArrayLike, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        as_codes(names, [0, 0, 0], "patients")
