import math

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given
from hypothesis import strategies as st

from melanoma.metrics import auc, delong_test, delong_variance

Floats = npt.NDArray[np.float64]

# Albumin, total protein, Krebs-Goplerud score and success of surgery for 43 patients with ovarian
# cancer: the complete ones of DeLong et al. (1988), as printed in SAS/STAT User's Guide, The
# LOGISTIC Procedure, "Comparing Receiver Operating Characteristic Curves".
OVARIAN_CANCER = """
3.0 5.8 10 0  3.2 6.3 5 1  3.9 6.8 3 1  2.8 4.8 6 0  3.2 5.8 3 1  0.9 4.0 5 0  2.5 5.7 8 0
1.6 5.6 5 1  3.8 5.7 5 1  3.7 6.7 6 1  3.2 5.4 4 1  3.8 6.6 6 1  4.1 6.6 5 1  3.6 5.7 5 1
4.3 7.0 4 1  3.6 6.7 4 0  2.3 4.4 6 1  4.2 7.6 4 0  4.0 6.6 6 0  3.5 5.8 6 1  3.8 6.8 7 1
3.0 4.7 8 0  4.5 7.4 5 1  3.7 7.4 5 1  3.1 6.6 6 1  4.1 8.2 6 1  4.3 7.0 5 1  4.3 6.5 4 1
3.2 5.1 5 1  2.6 4.7 6 1  3.3 6.8 6 0  1.7 4.0 7 0  3.7 6.1 5 1  3.3 6.3 7 1  4.2 7.7 6 1
3.5 6.2 5 1  2.9 5.7 9 0  2.1 4.8 7 1  2.8 6.2 8 0  4.0 7.0 7 1  3.3 5.7 6 1  3.7 6.9 5 1
3.6 6.6 5 1
"""
ALBUMIN, PROTEIN, SCORE, SUCCESS = np.array(OVARIAN_CANCER.split(), float).reshape(-1, 4).T
TESTS = {"albumin": ALBUMIN, "protein": PROTEIN, "score": -SCORE}

steps = st.integers(0, 5)
rows_of_two = st.lists(st.tuples(st.booleans(), steps, steps), min_size=4, max_size=30).filter(
    lambda rows: 2 <= sum(target for target, *_ in rows) <= len(rows) - 2
)


@pytest.mark.parametrize(
    ("test", "area", "error"),
    [("albumin", 0.7366, 0.0927), ("score", 0.7258, 0.1028), ("protein", 0.6478, 0.1000)],
)
def test_areas_and_errors_are_those_published(test: str, area: float, error: float) -> None:
    assert auc(SUCCESS, TESTS[test]) == pytest.approx(area, abs=5e-5)
    assert math.sqrt(delong_variance(SUCCESS, TESTS[test])) == pytest.approx(error, abs=5e-5)


@pytest.mark.parametrize(
    ("test", "difference", "error", "chi_square", "p_value"),
    [("albumin", 0.0108, 0.0953, 0.0127, 0.9102), ("protein", -0.0780, 0.1046, 0.5554, 0.4561)],
)
def test_differences_from_the_score_are_those_published(
    test: str, difference: float, error: float, chi_square: float, p_value: float
) -> None:
    found = delong_test(SUCCESS, TESTS[test], TESTS["score"])
    values = [found.difference, found.standard_error, found.z**2, found.p_value]
    assert values == pytest.approx([difference, error, chi_square, p_value], abs=5e-5)


def components(targets: Floats, predictions: Floats) -> tuple[Floats, Floats]:
    """As DeLong et al. define them, by comparing every positive with every negative."""
    positives, negatives = predictions[targets == 1], predictions[targets == 0]
    signs = np.sign(positives[:, None] - negatives)
    return ((1 + signs) / 2).mean(axis=1), ((1 + signs) / 2).mean(axis=0)


@given(rows_of_two)
def test_ranks_give_what_the_definition_gives(rows: list[tuple[bool, int, int]]) -> None:
    targets, a, b = np.array(rows, dtype=float).T
    differences = [x - y for x, y in zip(components(targets, a), components(targets, b))]
    variance = sum(part.var(ddof=1) / part.size for part in differences)
    found = delong_test(targets, a, b)
    assert found.standard_error**2 == pytest.approx(variance, abs=1e-12)
    assert found.difference == pytest.approx(auc(targets, a) - auc(targets, b), abs=1e-12)


@given(rows_of_two)
def test_predictions_ranked_alike_do_not_differ(rows: list[tuple[bool, int, int]]) -> None:
    targets, a, _ = np.array(rows, dtype=float).T
    found = delong_test(targets, a, np.exp(a))
    assert (found.difference, found.z, found.p_value) == (0, 0, 1)


def test_a_difference_without_spread_is_certain() -> None:
    found = delong_test([0, 0, 1, 1], [1, 1, 1, 1], [1, 2, 3, 4])
    assert (found.difference, found.z, found.p_value) == (-0.5, -math.inf, 0)


def test_the_null_is_rejected_as_often_as_promised() -> None:
    random = np.random.default_rng(0)
    targets = np.repeat([0, 1], [150, 50])
    p_values = []
    for _ in range(2000):
        shared = targets + random.normal(size=200)
        a, b = shared + random.normal(size=(2, 200))
        p_values.append(delong_test(targets, a, b).p_value)
    assert 0.035 < np.mean(np.array(p_values) < 0.05) < 0.065


def test_a_class_of_one_row_has_no_variance() -> None:
    with pytest.raises(ValueError, match="DeLong's variance needs two rows of each class"):
        delong_variance([0, 0, 1], [0.1, 0.2, 0.3])
