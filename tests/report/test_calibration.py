import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from melanoma.metrics import calibration_error
from melanoma.report.calibration import reliability


@given(st.lists(st.tuples(st.integers(0, 1), st.floats(0, 1, width=16)), min_size=1, max_size=80))
def test_the_bins_are_those_of_the_calibration_error(rows: list[tuple[int, float]]) -> None:
    targets, scores = np.array([t for t, _ in rows]), np.array([s for _, s in rows])
    bins = reliability(targets, scores)
    assert sum(each.n for each in bins) == len(rows)
    gap = sum(each.n * abs(each.predicted - each.observed) for each in bins) / len(rows)
    assert gap == pytest.approx(calibration_error(targets, scores))
    assert all(0 <= each.low <= each.observed <= each.high <= 1 for each in bins)
