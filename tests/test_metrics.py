import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import roc_auc_score

from melanoma.metrics import auc

scored = st.lists(
    st.tuples(st.booleans(), st.integers(0, 8).map(lambda step: step / 8)), min_size=2, max_size=60
).filter(lambda rows: len({target for target, _ in rows}) == 2)


@given(scored)
def test_auc_is_scikit_learns_with_ties(rows: list[tuple[bool, float]]) -> None:
    targets, scores = map(np.array, zip(*rows))
    assert auc(targets, scores) == pytest.approx(roc_auc_score(targets, scores), abs=1e-12)


@given(scored)
def test_auc_knows_the_order_only(rows: list[tuple[bool, float]]) -> None:
    targets, scores = map(np.array, zip(*rows))
    assert auc(targets, scores) == auc(targets, np.exp(3 * scores) - 7)
    assert auc(targets, scores) == pytest.approx(1 - auc(targets, -scores), abs=1e-12)


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
