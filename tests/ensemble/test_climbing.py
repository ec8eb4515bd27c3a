import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from melanoma.ensemble.climbing import climb
from melanoma.metrics import auc, rank_within
from melanoma.metrics.checks import Floats
from simulated_runs import simulate_runs


def ranks_of(oof: Floats, folds: np.ndarray) -> Floats:
    return np.array([rank_within(folds, run) for run in oof])


@given(seed=st.integers(0, 1000), n_runs=st.integers(1, 4))
def test_weights_are_shares(seed: int, n_runs: int) -> None:
    runs = simulate_runs([1.0] * n_runs, seed, n_patients=20)
    weights = climb(ranks_of(runs.oof, runs.folds), runs.targets, runs.folds)
    assert weights.shape == (n_runs,)
    assert weights.sum() == pytest.approx(1)
    assert (weights >= 0).all()


@given(seed=st.integers(0, 1000), tied=st.booleans())
def test_the_order_of_runs_and_of_rows_changes_nothing(seed: int, tied: bool) -> None:
    runs = simulate_runs([0.5, 1.0, 1.5], seed, n_patients=20)
    # One decimal is enough to make many predictions, and sums of ranks, equal.
    oof = runs.oof.round(1) if tied else runs.oof
    ranks = ranks_of(oof, runs.folds)
    weights = climb(ranks, runs.targets, runs.folds)
    random = np.random.default_rng(seed)
    order, rows = random.permutation(3), random.permutation(len(runs.targets))
    again = climb(ranks[order][:, rows], runs.targets[rows], runs.folds[rows])
    assert again.tolist() == weights[order].tolist()


@pytest.mark.parametrize("seed", range(3))
def test_in_sample_it_is_never_below_the_best_run_within_folds(seed: int) -> None:
    runs = simulate_runs([1.0, 1.2, 0.2], seed, fold_offset=0.7)
    ranks = ranks_of(runs.oof, runs.folds)
    blended = climb(ranks, runs.targets, runs.folds) @ ranks

    def won(predictions: Floats) -> float:
        # Pairs within folds are what is climbed on.
        by_fold = [runs.folds == fold for fold in range(5)]
        won_by_fold = [
            auc(runs.targets[rows], predictions[rows])
            * runs.targets[rows].sum()
            * (1 - runs.targets[rows]).sum()
            for rows in by_fold
        ]
        return float(sum(won_by_fold))

    assert won(blended) >= max(map(won, ranks)) - 1e-6


def test_a_guessing_run_gets_next_to_nothing() -> None:
    runs = simulate_runs([2.0, 0.0])
    weights = climb(ranks_of(runs.oof, runs.folds), runs.targets, runs.folds)
    assert weights[1] < 0.2


def test_folds_of_other_calibration_do_not_disturb_it() -> None:
    alike, apart = (simulate_runs([1.0, 1.5], fold_offset=offset) for offset in (0.0, 3.0))
    first, second = (
        climb(ranks_of(runs.oof, runs.folds), runs.targets, runs.folds) for runs in (alike, apart)
    )
    assert first.tolist() == second.tolist()


def test_equal_runs_are_added_together() -> None:
    runs = simulate_runs([1.0])
    ranks = np.repeat(ranks_of(runs.oof, runs.folds), 2, axis=0)
    assert climb(ranks, runs.targets, runs.folds).tolist() == [0.5, 0.5]


def test_few_steps_are_kept_to() -> None:
    runs = simulate_runs([1.0, 1.0, 1.0])
    weights = climb(ranks_of(runs.oof, runs.folds), runs.targets, runs.folds, n_steps=1)
    assert sorted(weights.tolist()) == [0, 0, 1]
