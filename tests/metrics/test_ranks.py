import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import rankdata, spearmanr

from melanoma.metrics import average_ranks, rank_within, spearman_matrix

scores_with_ties = st.lists(st.integers(0, 8).map(lambda step: step / 8), max_size=40)
grouped = st.lists(
    st.tuples(st.integers(0, 3), st.integers(0, 8).map(lambda step: step / 8)), min_size=1
)


@given(scores_with_ties)
def test_average_ranks_are_scipys(scores: list[float]) -> None:
    assert np.array_equal(average_ranks(np.array(scores)), rankdata(scores))


@given(grouped)
def test_ranks_within_a_group_are_those_of_the_group_alone(rows: list[tuple[int, float]]) -> None:
    groups, scores = map(np.array, zip(*rows))
    shares = rank_within(groups, scores)
    assert ((shares > 0) & (shares < 1)).all()
    for group in np.unique(groups):
        alone = scores[groups == group]
        expected = (rankdata(alone) - 0.5) / len(alone)
        np.testing.assert_allclose(shares[groups == group], expected, atol=1e-15)


@given(grouped)
def test_ranks_within_groups_forget_what_sets_groups_apart(rows: list[tuple[int, float]]) -> None:
    groups, scores = map(np.array, zip(*rows))
    shifted = np.exp(scores) * (1 + groups) - 5 * groups
    assert np.array_equal(rank_within(groups, scores), rank_within(groups, shifted))


def test_a_group_that_is_missing_is_refused() -> None:
    with pytest.raises(ValueError, match="1 of 2 groups are missing"):
        rank_within(np.array(["a", None]), [0.1, 0.2])


def _runs(seed: int) -> npt.NDArray[np.float64]:
    random = np.random.default_rng(seed)
    return (random.random((4, 50)) + random.random(50)).round(1)


@pytest.mark.parametrize("seed", range(3))
def test_spearman_is_scipys_with_ties(seed: int) -> None:
    runs = _runs(seed)
    np.testing.assert_allclose(spearman_matrix(runs), spearmanr(runs, axis=1)[0], atol=1e-12)


def test_spearman_is_exact_for_runs_ranked_alike() -> None:
    run = _runs(0)[0]
    expected = [[1.0, 1.0, -1.0], [1.0, 1.0, -1.0], [-1.0, -1.0, 1.0]]
    assert spearman_matrix([run, np.exp(run), -run]).tolist() == expected


def test_spearman_of_a_constant_run_is_not_a_number() -> None:
    matrix = spearman_matrix([[0.1, 0.2, 0.3], [0.5, 0.5, 0.5]])
    assert np.isnan(matrix).tolist() == [[False, True], [True, True]]


def test_spearman_refuses_a_single_column() -> None:
    with pytest.raises(ValueError, match=r"predictions \(2,\) must be \(runs, rows\)"):
        spearman_matrix([0.1, 0.2])
