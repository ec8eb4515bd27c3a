from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import brier_score_loss

from melanoma.metrics import brier_score, calibrated_error, calibration_error

Rows = list[tuple[bool, float]]

predicted = st.lists(
    st.tuples(st.booleans(), st.integers(0, 8).map(lambda step: step / 8)), min_size=1, max_size=60
)


@given(predicted)
def test_brier_score_is_scikit_learns(rows: Rows) -> None:
    targets, scores = map(np.array, zip(*rows))
    expected = brier_score_loss(targets, scores, labels=[False, True])
    assert brier_score(targets, scores) == pytest.approx(expected, abs=1e-12)


@given(predicted, st.integers(1, 20), st.permutations(range(60)))
def test_calibration_error_does_not_depend_on_the_order_of_rows(
    rows: Rows, n_bins: int, order: list[int]
) -> None:
    targets, scores = map(np.array, zip(*rows))
    shuffled = [place for place in order if place < len(rows)]
    first = calibration_error(targets, scores, n_bins)
    second = calibration_error(targets[shuffled], scores[shuffled], n_bins)
    assert first == pytest.approx(second, abs=1e-12)


@given(predicted)
def test_calibration_error_of_one_bin_is_the_difference_of_means(rows: Rows) -> None:
    targets, scores = map(np.array, zip(*rows))
    expected = abs(targets.mean() - scores.mean())
    assert calibration_error(targets, scores, n_bins=1) == pytest.approx(expected, abs=1e-12)


def test_calibration_error_is_the_mean_over_bins_of_equal_count() -> None:
    random = np.random.default_rng(0)
    scores = random.random(1000) ** 3
    targets = random.random(1000) < scores**2
    order = np.argsort(scores).reshape(10, 100)
    expected = np.abs(targets[order].mean(axis=1) - scores[order].mean(axis=1)).mean()
    assert calibration_error(targets, scores) == pytest.approx(expected, abs=1e-12)


@pytest.mark.parametrize("metric", [brier_score, calibration_error])
@pytest.mark.parametrize(
    ("targets", "scores", "message"),
    [([0, 1], [0.1, 1.5], r"must be probabilities, in \[0, 1\]"), ([], [], "no predictions")],
)
def test_what_is_no_probability_is_refused(
    metric: Callable[..., float], targets: list[int], scores: list[float], message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        metric(targets, scores)


def test_calibration_error_needs_a_bin() -> None:
    with pytest.raises(ValueError, match="n_bins 0 must be at least 1"):
        calibration_error([0, 1], [0.1, 0.2], n_bins=0)


@given(st.lists(st.integers(0, 20), min_size=1, max_size=200), st.permutations(range(200)))
def test_a_calibrated_model_is_the_same_in_any_order(steps: list[int], order: list[int]) -> None:
    scores = np.array(steps) / 20
    shuffled = scores[[place for place in order if place < scores.size]]
    found, again = (calibrated_error(values, n_draws=20) for values in (scores, shuffled))
    assert (found.mean, found.high) == pytest.approx((again.mean, again.high))
    assert 0 <= found.mean <= 1
    if set(steps) <= {0, 20}:
        assert found.high == 0  # what is certain comes true


@pytest.mark.parametrize("n_rows", [60, 400, 20_000])
def test_a_calibrated_model_has_the_error_of_targets_drawn_from_its_predictions(
    n_rows: int,
) -> None:
    random = np.random.default_rng(0)
    scores = 1 / (1 + np.exp(3 - 1.5 * random.normal(size=n_rows)))
    drawn = [calibration_error(random.random(n_rows) < scores, scores) for _ in range(300)]
    found = calibrated_error(scores)
    # The mean of 300 has a standard error of 2 %, their 95th percentile one of 4 %.
    assert found.mean == pytest.approx(np.mean(drawn), rel=0.08)
    assert found.high == pytest.approx(np.quantile(drawn, 0.95), rel=0.12)


def test_a_calibrated_model_needs_predictions() -> None:
    with pytest.raises(ValueError, match="there are no predictions"):
        calibrated_error([])
    with pytest.raises(ValueError, match=r"must be probabilities, in \[0, 1\]"):
        calibrated_error([0.1, 1.5])
    with pytest.raises(ValueError, match="n_bins 0 must be at least 1"):
        calibrated_error([0.1], n_bins=0)
