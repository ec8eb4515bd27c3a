from dataclasses import replace

import numpy as np
import pytest

from melanoma.ensemble.blending import MethodChoice, blend_runs
from melanoma.ensemble.predictions import Predictions
from melanoma.ensemble.variants import VariantBootstrap, corrected, honest_where_known
from melanoma.metrics import PatientBootstrap, auc
from melanoma.metrics.checks import Floats
from simulated_runs import simulate_runs


def flattered_runs(n_views: int = 1, seed: int = 0) -> Predictions:
    """Two runs with 12 epochs of equal worth each, of which each fold takes its best."""
    base = simulate_runs([1.0, 1.0], seed, n_patients=80)
    random = np.random.default_rng(seed)
    logits = np.log(base.oof / (1 - base.oof))
    epochs = logits + random.normal(size=(12, *logits.shape))
    own = np.empty_like(logits)
    for run in range(len(logits)):
        for fold in range(5):
            rows = base.folds == fold
            best = max(epochs[:, run, rows], key=lambda e: auc(base.targets[rows], e))
            own[run, rows] = best
    honest, own = (1 / (1 + np.exp(-x)) for x in (epochs[0], own))
    predicted = own if n_views == 1 else np.clip(own + 0.01 * base.targets, 0, 1)
    return replace(base, oof=predicted, own=own, honest=honest)


def test_one_view_is_scored_at_the_honest_epochs_exactly() -> None:
    runs = flattered_runs()
    assert runs.honest is not None
    honest = replace(runs, oof=runs.honest, own=None, honest=None)
    methods: tuple[MethodChoice, ...] = ("mean", "weighted", "stack")
    for method in methods:
        ours, theirs = (blend_runs(r, method, n_draws=30) for r in (runs, honest))
        for row, expected in zip(ours.rows, theirs.rows):
            assert row.own_epoch_auc is not None
            assert row.own_epoch_auc > row.pooled_auc
            assert replace(row, own_epoch_auc=None) == expected
        assert ours.comparisons.equals(theirs.comparisons)
        assert ours.without.equals(theirs.without)
        assert ours.shown is not None
        assert theirs.oof is not None
        assert ours.shown.tolist() == theirs.oof.tolist()


def test_several_views_lose_the_optimism_of_one() -> None:
    runs = flattered_runs(n_views=8)
    assert runs.own is not None
    assert runs.honest is not None
    row = blend_runs(runs, "mean", n_draws=30).rows[0]
    plain, own, honest = (auc(runs.targets, p[0]) for p in (runs.oof, runs.own, runs.honest))
    assert own - honest > 0.01
    assert row.pooled_auc == pytest.approx(plain - (own - honest))
    assert row.own_epoch_auc == plain
    assert row.low < row.pooled_auc < row.high


def test_what_is_handed_in_is_as_predicted() -> None:
    runs = flattered_runs(n_views=8)
    blended = blend_runs(runs, "mean", n_draws=30)
    assert blended.oof is not None
    assert blended.oof == pytest.approx(runs.oof.mean(axis=0))
    assert blended.shown is blended.oof or blended.shown == pytest.approx(blended.oof)


def test_runs_that_choose_and_runs_that_do_not_are_compared_fairly() -> None:
    runs = flattered_runs()
    assert runs.own is not None
    assert runs.honest is not None
    # The second run does not choose: its honest predictions are what it predicts.
    fixed = runs.honest[1]
    parts = ((runs.oof[0], fixed), (runs.own[0], fixed), (runs.honest[0], fixed))
    oof, own, honest = (np.array(part) for part in parts)
    rows = blend_runs(replace(runs, oof=oof, own=own, honest=honest), "mean", n_draws=30).rows
    assert rows[0].pooled_auc == auc(runs.targets, honest[0])
    assert rows[1].pooled_auc == auc(runs.targets, fixed)
    assert rows[1].own_epoch_auc == rows[1].pooled_auc


def test_a_flattered_run_flatters_its_blends() -> None:
    runs = replace(simulate_runs([1.0, 1.0]), flattered=("run_1",))
    rows = blend_runs(runs, "stack", n_draws=30).rows
    assert [row.is_flattered for row in rows] == [False, True, True, True]


def test_a_corrected_auc_stays_between_0_and_1() -> None:
    targets = np.array([0, 0, 1, 1])
    right, wrong = np.array([0.1, 0.2, 0.8, 0.9]), np.array([0.9, 0.8, 0.2, 0.1])
    bootstrap = VariantBootstrap(PatientBootstrap(targets, np.arange(4), n_draws=20))
    assert bootstrap.auc(np.array([right, wrong, right])) == 1.0
    assert bootstrap.auc(np.array([wrong, right, wrong])) == 0.0


def test_intervals_are_of_the_corrected_score() -> None:
    runs = flattered_runs(n_views=8)
    plain = PatientBootstrap(runs.targets, runs.patients, n_draws=100)
    bootstrap = VariantBootstrap(plain)
    first, second = runs.variants[:, 0], runs.variants[:, 1]

    def scores(predictions: Floats) -> Floats:
        return plain.aucs(predictions)

    draws = corrected(scores, first) - corrected(scores, second)
    paired = bootstrap.difference(first, second)
    expected = bootstrap.auc(first) - bootstrap.auc(second)
    assert paired.difference == pytest.approx(expected)
    assert paired.high - paired.difference == pytest.approx(2 * draws.std(), rel=0.1)


def test_what_is_shown() -> None:
    a, b, c = np.array([[0.1], [0.2], [0.3]])
    assert honest_where_known(np.array([a])) == a
    assert honest_where_known(np.array([a, a, c])) == c
    assert honest_where_known(np.array([a, b, c])) == a
