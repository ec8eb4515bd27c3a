from dataclasses import replace

import numpy as np
import pytest

from melanoma.ensemble.blending import blend_runs, blend_submissions
from melanoma.ensemble.methods import METHODS
from melanoma.ensemble.nested import nested_blend
from melanoma.ensemble.predictions import Predictions
from melanoma.ensemble.repeats import Repeat
from melanoma.ensemble.text import blend_as_text
from melanoma.errors import ConfigError
from melanoma.metrics import auc, rank_within
from simulated_runs import simulate_runs


def reversed_runs(runs: Predictions) -> Predictions:
    """The same runs in another order, and their rows too."""
    return Predictions(
        runs.names[::-1],
        runs.table[::-1].reset_index(drop=True),
        runs.oof[::-1, ::-1],
        runs.test_names,
        runs.test[::-1],
    )


def test_one_run_is_its_own_mean() -> None:
    runs = simulate_runs([1.0])
    blended = blend_runs(runs, n_draws=20)
    assert blended.oof is not None
    assert blended.test is not None
    assert blended.oof.tolist() == runs.oof[0].tolist()
    assert blended.test.tolist() == runs.test[0].mean(axis=0).tolist()
    assert [row.name for row in blended.rows] == ["run_0"]
    assert blended.chosen is blended.rows[0]
    assert blended.comparisons.empty
    assert blended.without.empty


@pytest.mark.parametrize("method", ["rank", "logit", "power", "weighted", "stack", "best"])
def test_one_run_goes_through_every_method(method: str) -> None:
    runs = simulate_runs([1.0])
    blended = blend_runs(runs, method, n_draws=20)  # type: ignore[arg-type]
    assert blended.chosen is not None
    if method == "best":
        assert blended.notes == ["best: one run alone, there is nothing to choose."]
    else:
        assert blended.chosen.method == method
    assert blended.chosen.rank_auc == pytest.approx(blended.rows[0].rank_auc, abs=0.01)


@pytest.mark.parametrize("method", ["rank", "weighted", "stack"])
def test_what_is_chosen_is_scored_nested_beside_runs_and_mean(method: str) -> None:
    runs = simulate_runs([0.5, 1.0])
    blended = blend_runs(runs, method, n_draws=20)  # type: ignore[arg-type]
    assert [row.name for row in blended.rows] == ["run_0", "run_1", "mean", method]
    row = blended.rows[-1]
    assert blended.chosen is row
    assert row.nested == METHODS[method].fits
    assert (row.in_sample_auc is not None) == METHODS[method].fits
    features = METHODS[method].scale(runs.oof, runs.folds)
    nested = nested_blend(METHODS[method], features, runs.targets, runs.folds)
    assert blended.oof is not None
    assert blended.oof.tolist() == nested.tolist()


@pytest.mark.parametrize("method", ["weighted", "best"])
def test_the_order_of_runs_and_rows_changes_nothing(method: str) -> None:
    runs = simulate_runs([0.5, 1.0, 1.5], n_patients=60)
    first = blend_runs(runs, method, n_draws=20)  # type: ignore[arg-type]
    second = blend_runs(reversed_runs(runs), method, n_draws=20)  # type: ignore[arg-type]
    assert second.oof is not None
    assert second.oof[::-1] == pytest.approx(first.oof, abs=1e-9)
    assert second.test == pytest.approx(first.test, abs=1e-9)
    assert second.blend.weights[::-1] == pytest.approx(first.blend.weights)
    scores = [
        {row.name: (row.pooled_auc, row.low, row.high) for row in blended.rows}
        for blended in (first, second)
    ]
    assert scores[0].keys() == scores[1].keys()
    for name, score in scores[0].items():
        assert scores[1][name] == pytest.approx(score, abs=1e-6)


def test_best_compares_all_and_says_why() -> None:
    runs = simulate_runs([0.0, 2.0])
    blended = blend_runs(runs, "best", n_draws=50)
    assert [row.name for row in blended.rows[2:]] == list(METHODS)
    assert blended.chosen is not None
    assert blended.method == blended.chosen.name
    assert blended.notes[0].startswith(f"best: {blended.method}")
    # Guessing must not be given an equal say.
    assert blended.method in ("weighted", "stack")
    assert len(blended.comparisons) == 8 * 7 / 2


def test_the_final_weights_are_of_all_folds_and_go_to_the_test_images() -> None:
    runs = simulate_runs([0.5, 1.5])
    blended = blend_runs(runs, "weighted", n_draws=20)
    features = METHODS["weighted"].scale(runs.oof, runs.folds)
    fitted = METHODS["weighted"].fit(features, runs.targets, runs.folds)
    assert blended.blend.weights.tolist() == fitted.weights.tolist()
    ranks = [
        np.mean([rank_within(np.zeros(50), network) for network in networks], axis=0)
        for networks in runs.test
    ]
    assert blended.test == pytest.approx(fitted.weights @ np.array(ranks))


def test_given_weights_are_used_everywhere() -> None:
    runs = simulate_runs([0.5, 1.5])
    blended = blend_runs(runs, "mean", weights=[1, 3], n_draws=20)
    assert blended.oof == pytest.approx(np.array([0.25, 0.75]) @ runs.oof)
    assert blended.test == pytest.approx(0.25 * runs.test[0].mean(0) + 0.75 * runs.test[1].mean(0))


def test_without_test_images_there_is_nothing_to_hand_in() -> None:
    runs = replace(simulate_runs([0.5, 1.0]), test=(), test_names=None)
    assert blend_runs(runs, n_draws=20).test is None


def test_a_caution_is_noted_where_a_run_beats_the_blend() -> None:
    blended = blend_runs(simulate_runs([0.0, 2.0]), "mean", n_draws=50)
    assert blended.notes[0].startswith("caution: run_1 alone scores higher than mean (+0.")


@pytest.mark.parametrize(
    ("method", "context", "what"),
    [
        ("weighted", False, "weighted"),
        ("best", False, "power, weighted, stack"),
        ("mean", True, "--c"),
    ],
)
def test_nothing_is_nested_in_a_single_fold(method: str, context: bool, what: str) -> None:
    runs = simulate_runs([0.5, 1.0])
    one = replace(runs, table=runs.table.assign(fold=3))
    with pytest.raises(
        ConfigError, match=f"^{what}.*takes two folds or more. Choose --method mean"
    ):
        blend_runs(one, method, context=context)  # type: ignore[arg-type]
    assert len(blend_runs(one, "mean", n_draws=20).rows[0].fold_aucs) == 1


def ducklings() -> Predictions:
    """A run whose predictions only make sense beside those of the same patient."""
    runs = simulate_runs([2.0], n_patients=300, n_test=60)
    random = np.random.default_rng(5)
    logits = np.log(runs.oof / (1 - runs.oof)) + random.normal(0, 4, 300)[runs.patients]
    return replace(runs, oof=1 / (1 + np.exp(-logits)))


def test_a_context_that_helps_is_applied_out_of_fold_and_on_test() -> None:
    runs = ducklings()
    patients = np.arange(60) // 4
    blended = blend_runs(runs, context=True, test_patients=patients, n_draws=100)
    assert [row.name for row in blended.rows] == ["run_0", "run_0 + context"]
    assert blended.chosen is blended.rows[1]
    assert blended.chosen.nested
    assert blended.chosen.pooled_auc > blended.rows[0].pooled_auc + 0.1
    assert blended.notes == [blended.notes[0]]
    assert blended.notes[0].startswith("context: applied, better beyond noise (+0.")
    assert blended.context is not None
    before = runs.test[0].mean(axis=0)
    assert blended.test == pytest.approx(blended.context(before, patients))


def test_a_context_that_does_not_help_is_said_and_not_applied() -> None:
    runs = simulate_runs([1.0, 1.0])
    blended = blend_runs(runs, context=True, n_draws=100)
    assert blended.context is None
    assert blended.chosen is not None
    assert blended.chosen.name == "mean"
    assert [row.name for row in blended.rows][-1] == "mean + context"
    assert blended.notes[-1].startswith("context: not applied, no better beyond noise (")
    assert blended.test == pytest.approx(np.mean([test.mean(0) for test in runs.test], axis=0))


def test_submissions_alone_are_blended_without_scores() -> None:
    submissions = np.array([[0.1, 0.5, 0.9], [0.3, 0.2, 0.4]])
    mean = blend_submissions(submissions, "mean", [3, 1])
    assert mean.test == pytest.approx(submissions.T @ [0.75, 0.25])
    assert (mean.rows, mean.oof, mean.chosen) == ([], None, None)
    rank = blend_submissions(submissions, "rank")
    assert rank.test == pytest.approx([2 / 6, 2 / 6, 5 / 6])
    assert rank.correlations[0, 1] == pytest.approx(0.5)


def repeated_runs(seed: int = 0) -> Predictions:
    """Three repeats of a recipe on other folds, with levels that differ from fold to fold."""
    runs = simulate_runs([1.0, 1.0, 1.0], seed)
    n_folds = len(np.unique(runs.folds))
    folds = np.array([(runs.patients + shift * (runs.patients // n_folds)) % n_folds
                      for shift in range(3)])  # fmt: skip
    logits = np.log(runs.oof / (1 - runs.oof)) + 2.0 * folds
    repeats = tuple(Repeat("recipe", 0, f"fold_{number}", "f") for number in range(3))
    table = runs.table.assign(fold=folds[0])
    oof = 1 / (1 + np.exp(-logits))
    return replace(runs, oof=oof, table=table, folds_of_runs=folds, repeats=repeats)


def test_each_repeat_is_ranked_and_scored_on_its_own_folds() -> None:
    runs = repeated_runs()
    blended = blend_runs(runs, "rank", n_draws=20)
    for place, row in enumerate(blended.rows[:3]):
        folds = runs.own_folds[place]
        of_folds = [auc(runs.targets[folds == k], runs.oof[place, folds == k]) for k in range(5)]
        assert row.fold_aucs == of_folds
        assert row.rank_auc > row.pooled_auc + 0.02
    ranked = np.mean([rank_within(*pair) for pair in zip(runs.own_folds, runs.oof)], axis=0)
    assert blended.oof == pytest.approx(ranked)


def test_an_images_repeats_are_averaged_and_the_variance_is_split() -> None:
    runs = repeated_runs()
    blended = blend_runs(runs, "mean", n_draws=20)
    assert blended.oof == pytest.approx(runs.oof.mean(axis=0))
    (parts,) = blended.variances
    assert parts.runs == runs.names
    assert parts.seeds is None
    assert parts.folds == pytest.approx(
        np.var([row.pooled_auc for row in blended.rows[:3]], ddof=1)
    )
    text = blend_as_text(blended, runs.names, list(range(5)))
    assert "3 repeats of one recipe (run_0, run_1, run_2)" in text
    assert "folds and seeds" in text


def test_runs_of_different_recipes_have_no_variance_to_split() -> None:
    runs = repeated_runs()
    repeats = tuple(Repeat(f"recipe {n}", n, "fold", "f") for n in range(3))
    assert blend_runs(replace(runs, repeats=repeats), "mean", n_draws=20).variances == []
