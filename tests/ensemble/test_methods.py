import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from melanoma.ensemble.methods import METHODS, logit
from melanoma.metrics import auc, rank_within
from melanoma.metrics.checks import Floats
from simulated_runs import simulate_runs

ALL = list(METHODS)
UNFITTED = [name for name in ALL if not METHODS[name].fits]
KEEPS_PROBABILITIES = ["mean", "logit", "power"]


def blend(name: str, oof: Floats, targets: np.ndarray, folds: np.ndarray) -> Floats:
    method = METHODS[name]
    features = method.scale(oof, folds)
    return method.fit(features, targets, folds)(features)


@pytest.mark.parametrize("name", ALL)
def test_a_blend_is_in_the_unit_interval(name: str) -> None:
    runs = simulate_runs([1.0, 1.5])
    saturated = np.where(runs.oof > 0.5, 1.0, np.where(runs.oof < 0.05, 0.0, runs.oof))
    blended = blend(name, saturated, runs.targets, runs.folds)
    assert np.isfinite(blended).all()
    assert blended.min() >= 0
    assert blended.max() <= 1


@given(
    values=st.lists(st.floats(1e-5, 1 - 1e-5), min_size=4, max_size=30),
    n_runs=st.integers(1, 4),
    name=st.sampled_from(KEEPS_PROBABILITIES),
)
def test_the_blend_of_equal_runs_is_the_run(values: list[float], n_runs: int, name: str) -> None:
    run = np.array(values)
    targets = np.arange(len(run)) % 2
    blended = blend(name, np.tile(run, (n_runs, 1)), targets, np.zeros(len(run), dtype=np.int64))
    assert blended == pytest.approx(run, rel=1e-6, abs=1e-9)


@pytest.mark.parametrize("name", ["rank", "weighted"])
def test_the_rank_blend_of_equal_runs_is_the_runs_ranks(name: str) -> None:
    runs = simulate_runs([1.0])
    blended = blend(name, np.tile(runs.oof, (3, 1)), runs.targets, runs.folds)
    assert blended == pytest.approx(rank_within(runs.folds, runs.oof[0]))


def test_the_stack_of_equal_runs_ranks_as_the_run_does() -> None:
    runs = simulate_runs([1.0])
    blended = blend("stack", np.tile(runs.oof, (3, 1)), runs.targets, runs.folds)
    assert auc(runs.targets, blended) == pytest.approx(auc(runs.targets, runs.oof[0]), abs=1e-12)


@pytest.mark.parametrize("name", ALL)
def test_the_order_of_runs_and_rows_changes_nothing(name: str) -> None:
    runs = simulate_runs([0.5, 1.0, 1.5], n_patients=60)
    blended = blend(name, runs.oof, runs.targets, runs.folds)
    random = np.random.default_rng(1)
    order, rows = random.permutation(3), random.permutation(len(runs.targets))
    again = blend(name, runs.oof[order][:, rows], runs.targets[rows], runs.folds[rows])
    assert again == pytest.approx(blended[rows], abs=1e-9)


@pytest.mark.parametrize("name", ["rank", "weighted"])
def test_ranks_make_any_monotone_scale_the_same(name: str) -> None:
    runs = simulate_runs([1.0, 1.5])
    bent = np.stack([runs.oof[0] ** 5, np.sqrt(runs.oof[1]) / 7])
    blended = blend(name, bent, runs.targets, runs.folds)
    assert blended.tolist() == blend(name, runs.oof, runs.targets, runs.folds).tolist()


def test_power_prefers_the_mean_where_exponents_are_equally_good() -> None:
    method, targets = METHODS["power"], np.array([0, 1])
    fitted = method.fit(np.array([[0.1, 0.9]]), targets, targets)
    assert fitted.exponent == 1


def test_power_finds_that_one_sure_run_is_enough() -> None:
    # Either run recognises one of the melanomas and says nothing of the other.
    oof = np.array([[0.9, 0.1, 0.5, 0.5], [0.1, 0.9, 0.5, 0.5]])
    targets = np.array([1, 1, 0, 0])
    method = METHODS["power"]
    fitted = method.fit(oof, targets, targets)
    assert fitted.exponent > 1
    assert auc(targets, fitted(oof)) == 1


def test_the_stack_learns_calibration() -> None:
    runs = simulate_runs([1.5, 1.5])
    blended = blend("stack", runs.oof**3, runs.targets, runs.folds)
    assert blended.mean() == pytest.approx(runs.targets.mean(), abs=1e-3)


def test_a_constant_run_disturbs_no_stack() -> None:
    runs = simulate_runs([1.0])
    oof = np.stack([runs.oof[0], np.full(len(runs.targets), 0.3)])
    blended = blend("stack", oof, runs.targets, runs.folds)
    assert auc(runs.targets, blended) == pytest.approx(auc(runs.targets, runs.oof[0]), abs=1e-12)


@pytest.mark.parametrize("name", UNFITTED)
def test_given_weights_count_as_copies_would(name: str) -> None:
    runs = simulate_runs([0.5, 1.0])
    weighted = METHODS[name].with_weights([2, 1])
    features = weighted.scale(runs.oof, runs.folds)
    copies = METHODS[name].scale(runs.oof[[0, 0, 1]], runs.folds)
    assert weighted.blend(2)(features) == pytest.approx(METHODS[name].blend(3)(copies))


def test_weights_cannot_be_given_to_what_fits_them() -> None:
    with pytest.raises(ValueError, match="stack fits its own weights"):
        METHODS["stack"].with_weights([1, 2])


def test_leaving_a_run_out_leaves_its_weight_out() -> None:
    method = METHODS["mean"].with_weights([1, 2, 1])
    assert method.without(0).blend(2).weights.tolist() == pytest.approx([2 / 3, 1 / 3])
    alone = METHODS["mean"].with_weights([1, 0])
    assert alone.without(0).blend(1).weights.tolist() == [1]


def test_test_images_are_averaged_over_networks_on_the_methods_scale() -> None:
    networks = [np.array([[0.2, 0.4, 0.6], [0.1, 0.9, 0.5]])]
    assert METHODS["mean"].on_test(networks)[0] == pytest.approx([0.15, 0.65, 0.55])
    assert METHODS["rank"].on_test(networks)[0] == pytest.approx([1 / 6, 4 / 6, 4 / 6])
    mean_logit = logit(networks[0]).mean(axis=0)
    assert METHODS["logit"].on_test(networks)[0] == pytest.approx(mean_logit)


def test_logits_of_certainty_are_finite() -> None:
    assert np.isfinite(logit(np.array([0.0, 1.0]))).all()
    assert logit(np.array([0.5])).tolist() == [0]
