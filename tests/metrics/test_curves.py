import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import average_precision_score, roc_auc_score, roc_curve

from melanoma.metrics import auc, average_precision, sensitivity_at_specificity

Rows = list[tuple[bool, float]]

scored = st.lists(
    st.tuples(st.booleans(), st.integers(0, 8).map(lambda step: step / 8)), min_size=2, max_size=60
).filter(lambda rows: len({target for target, _ in rows}) == 2)


@given(scored)
def test_auc_is_scikit_learns_with_ties(rows: Rows) -> None:
    targets, scores = map(np.array, zip(*rows))
    assert auc(targets, scores) == pytest.approx(roc_auc_score(targets, scores), abs=1e-12)


@given(scored)
def test_auc_knows_the_order_only(rows: Rows) -> None:
    targets, scores = map(np.array, zip(*rows))
    assert auc(targets, scores) == auc(targets, np.exp(3 * scores) - 7)
    assert auc(targets, scores) == pytest.approx(1 - auc(targets, -scores), abs=1e-12)
    assert auc(targets, scores) == pytest.approx(1 - auc(~targets, scores), abs=1e-12)


@given(scored, st.permutations(range(60)))
def test_auc_does_not_depend_on_the_order_of_rows(rows: Rows, order: list[int]) -> None:
    shuffled = [rows[place] for place in order if place < len(rows)]
    assert auc(*zip(*rows)) == auc(*zip(*shuffled))


@pytest.mark.parametrize(
    ("targets", "scores", "message"),
    [
        ([1, 1], [0.1, 0.2], "both classes"),
        ([0, 0], [0.1, 0.2], "both classes"),
        ([0, 1], [0.1, np.nan], "finite"),
        ([0, 1], [0.1], "must be 1-D alike"),
    ],
)
def test_auc_refuses_what_has_none(targets: list[int], scores: list[float], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        auc(targets, scores)


@given(scored)
def test_average_precision_is_scikit_learns(rows: Rows) -> None:
    targets, scores = map(np.array, zip(*rows))
    expected = average_precision_score(targets, scores)
    assert average_precision(targets, scores) == pytest.approx(expected, abs=1e-12)


@given(scored, st.integers(0, 100).map(lambda percent: percent / 100))
def test_sensitivity_is_the_best_of_scikit_learns_thresholds(
    rows: Rows, specificity: float
) -> None:
    targets, scores = map(np.array, zip(*rows))
    false_positive_rate, sensitivity, _ = roc_curve(targets, scores, drop_intermediate=False)
    expected = sensitivity[1 - false_positive_rate >= specificity - 1e-12].max()
    assert sensitivity_at_specificity(targets, scores, specificity) == pytest.approx(expected)


def test_sensitivity_asks_for_no_negative_more_because_of_rounding() -> None:
    targets = np.repeat([0, 1], 100)
    scores = np.concatenate([np.arange(100), np.full(100, 6.5)])
    assert 0.07 * 100 > 7
    assert sensitivity_at_specificity(targets, scores, specificity=0.07) == 1


def test_sensitivity_refuses_a_percentage() -> None:
    with pytest.raises(ValueError, match=r"specificity 90 must be in \[0, 1\]"):
        sensitivity_at_specificity([0, 1], [0.1, 0.2], specificity=90)
