import numpy as np
import pytest

from melanoma.ensemble.context import fit_context
from melanoma.ensemble.methods import METHODS
from melanoma.ensemble.nested import nested_blend, nested_context
from melanoma.metrics import PatientBootstrap, auc
from simulated_runs import simulate_runs

FITTED = [name for name, method in METHODS.items() if method.fits]


@pytest.mark.parametrize("name", FITTED)
def test_a_fold_is_predicted_without_its_targets(name: str) -> None:
    runs = simulate_runs([0.5, 1.0, 1.5])
    method = METHODS[name]
    features = method.scale(runs.oof, runs.folds)
    predicted = nested_blend(method, features, runs.targets, runs.folds)
    held_out = runs.folds == 2
    changed = np.where(held_out, 1 - runs.targets, runs.targets)
    again = nested_blend(method, features, changed, runs.folds)
    assert again[held_out].tolist() == predicted[held_out].tolist()


def test_the_context_of_a_fold_is_fitted_without_its_targets() -> None:
    runs = simulate_runs([0.5, 1.0])
    method = METHODS["stack"]
    features = method.scale(runs.oof, runs.folds)
    predicted = nested_context(method, features, runs.targets, runs.folds, runs.patients)
    held_out = runs.folds == 2
    changed = np.where(held_out, 1 - runs.targets, runs.targets)
    again = nested_context(method, features, changed, runs.folds, runs.patients)
    assert again[held_out].tolist() == predicted[held_out].tolist()


def test_the_context_of_a_fold_comes_from_the_fit_to_the_others() -> None:
    runs = simulate_runs([1.0])
    mean, seen, held_out = METHODS["mean"], runs.folds != 0, runs.folds == 0
    predicted = nested_context(mean, runs.oof, runs.targets, runs.folds, runs.patients)
    context = fit_context(runs.oof[0][seen], runs.targets[seen], runs.patients[seen])
    expected = context(runs.oof[0][held_out], runs.patients[held_out])
    assert predicted[held_out].tolist() == expected.tolist()


def test_what_fits_nothing_is_the_same_nested() -> None:
    runs = simulate_runs([0.5, 1.0])
    mean = METHODS["mean"]
    nested = nested_blend(mean, runs.oof, runs.targets, runs.folds)
    assert nested.tolist() == mean.blend(2)(runs.oof).tolist()


@pytest.mark.parametrize("name", ["weighted", "stack"])
def test_fitting_to_noise_looks_good_in_sample_and_is_nothing_nested(name: str) -> None:
    scores = []
    for seed in range(8):
        runs = simulate_runs([0.0] * 10, seed, n_patients=60)
        method = METHODS[name]
        features = method.scale(runs.oof, runs.folds)
        nested = nested_blend(method, features, runs.targets, runs.folds)
        in_sample = method.fit(features, runs.targets, runs.folds)(features)
        scores.append([auc(runs.targets, nested), auc(runs.targets, in_sample)])
    nested_auc, in_sample_auc = np.mean(scores, axis=0)
    assert nested_auc < 0.52
    assert in_sample_auc > 0.54


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("qualities", [(1.0, 1.0, 1.0), (0.2, 0.8, 1.6), (1.5, 0.0, 0.0)])
def test_weighted_is_never_below_the_best_run_beyond_noise(
    seed: int, qualities: tuple[float, ...]
) -> None:
    runs = simulate_runs(qualities, seed, n_patients=400, fold_offset=0.3)
    weighted = METHODS["weighted"]
    features = weighted.scale(runs.oof, runs.folds)
    nested = nested_blend(weighted, features, runs.targets, runs.folds)
    best = max(runs.oof, key=lambda run: auc(runs.targets, run))
    bootstrap = PatientBootstrap(runs.targets, runs.patients, n_draws=200)
    assert bootstrap.difference(nested, best).high >= 0
