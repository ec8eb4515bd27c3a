import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import binomtest, t

from melanoma.metrics.intervals import Interval, auc_interval, paired_difference

areas = st.floats(0.001, 0.999)
errors = st.floats(0.001, 0.5)
freedoms = st.integers(1, 500)


@given(areas, errors, freedoms)
def test_an_interval_of_an_auc_holds_it_and_no_impossible_value(
    area: float, error: float, freedom: int
) -> None:
    interval = auc_interval(area, error, freedom, level=0.95)
    assert 0 <= interval.low < area < interval.high <= 1


@given(areas, errors, freedoms)
def test_an_interval_of_the_reversed_predictions_is_mirrored(
    area: float, error: float, freedom: int
) -> None:
    interval = auc_interval(area, error, freedom, level=0.95)
    mirrored = auc_interval(1 - area, error, freedom, level=0.95)
    expected = [1 - mirrored.high, 1 - mirrored.low]
    assert [interval.low, interval.high] == pytest.approx(expected, abs=1e-9)


def test_an_interval_of_a_small_error_is_that_of_the_error() -> None:
    interval = auc_interval(0.8, 1e-4, freedom=10**6, level=0.95)
    assert [interval.low, interval.high] == pytest.approx([0.8 - 1.96e-4, 0.8 + 1.96e-4], abs=1e-7)


@pytest.mark.parametrize("area", [0.2, 0.5])
def test_an_interval_without_error_is_a_point(area: float) -> None:
    assert auc_interval(area, 0, freedom=10, level=0.95) == Interval(area, area)


@given(freedoms, st.floats(0.5, 0.999))
def test_a_perfect_auc_has_the_interval_of_clopper_and_pearson(freedom: int, level: float) -> None:
    n = freedom + 1
    expected = binomtest(n, n).proportion_ci(level, method="exact")
    interval = auc_interval(1, 0, freedom, level)
    assert [interval.low, interval.high] == pytest.approx([expected.low, 1], abs=1e-9)
    mirrored = auc_interval(0, 0, freedom, level)
    assert [mirrored.low, mirrored.high] == pytest.approx([0, 1 - expected.low], abs=1e-9)


def test_a_perfect_auc_of_few_patients_says_less_than_one_of_many() -> None:
    lows = [auc_interval(1, 0, freedom, level=0.95).low for freedom in (1, 4, 19, 79, 583)]
    assert lows == sorted(lows)
    assert lows == pytest.approx([0.158, 0.478, 0.832, 0.955, 0.994], abs=5e-4)


@given(st.floats(-0.5, 0.5), errors, freedoms)
def test_a_difference_has_students_interval_and_test(
    difference: float, error: float, freedom: int
) -> None:
    found = paired_difference(difference, error, freedom, level=0.9)
    low, high = t.interval(0.9, freedom, loc=difference, scale=error)
    assert [found.low, found.high] == pytest.approx([low, high], abs=1e-9)
    assert found.p_value == pytest.approx(2 * t.sf(abs(difference) / error, freedom), abs=1e-9)


@pytest.mark.parametrize(("difference", "p_value"), [(0.0, 1.0), (0.1, 0.0)])
def test_a_difference_without_error_is_certain(difference: float, p_value: float) -> None:
    found = paired_difference(difference, 0, freedom=10, level=0.95)
    assert (found.low, found.high, found.p_value) == (difference, difference, p_value)


def test_a_level_in_percent_is_refused() -> None:
    with pytest.raises(ValueError, match="level 95 must be between 0 and 1"):
        auc_interval(0.8, 0.1, freedom=10, level=95)
