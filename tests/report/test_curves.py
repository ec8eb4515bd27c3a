import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from melanoma.metrics import auc, average_precision
from melanoma.report.curves import GRID, precision_recall, roc, thin

TABLES = st.lists(
    st.tuples(st.integers(0, 1), st.floats(0, 1, width=16)), min_size=2, max_size=60
).filter(lambda rows: len({target for target, _ in rows}) == 2)


@given(TABLES)
def test_the_area_under_the_roc_is_the_auc(rows: list[tuple[int, float]]) -> None:
    targets, scores = np.array([t for t, _ in rows]), np.array([s for _, s in rows])
    curve = roc(targets, scores)
    assert np.trapezoid(curve.y, curve.x) == pytest.approx(auc(targets, scores))


@given(TABLES)
def test_the_area_under_the_steps_is_the_average_precision(rows: list[tuple[int, float]]) -> None:
    targets, scores = np.array([t for t, _ in rows]), np.array([s for _, s in rows])
    curve = precision_recall(targets, scores)
    steps = (curve.x[:-1] - curve.x[1:]) @ curve.y[:-1]
    assert steps == pytest.approx(average_precision(targets, scores))


@given(st.integers(2, 5000), st.integers(0, 100))
def test_thinning_moves_no_part_of_a_curve_by_more_than_a_cell(n: int, seed: int) -> None:
    random = np.random.default_rng(seed)
    x, y = np.sort(random.random(n)), np.sort(random.random(n))
    curve = thin(x, y)
    assert curve.x[[0, -1]].tolist() == x[[0, -1]].tolist()
    drawn = np.interp(x, curve.x, curve.y)
    assert np.abs(drawn - y).max() <= 1 / GRID
    assert len(curve.x) <= 4 * GRID + 2
