import json
import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from melanoma.ensemble.predictions import Predictions
from melanoma.report.findings import find
from melanoma.report.groups import Group
from melanoma.report.parts import Finding
from melanoma.report.reading import Material, read_material
from simulated_runs import simulate_runs
from whole_run import whole_run


@pytest.fixture
def material(competition: Path, folds_csv: Path) -> Material:
    return read_material([whole_run(competition, folds_csv)])


def with_row(material: Material, **scores: object) -> Material:
    blended = replace(material.blended, chosen=replace(material.row, **scores))  # type: ignore[arg-type]
    return replace(material, blended=blended)


def sections(found: list[Finding]) -> list[str]:
    return [finding.section for finding in found]


def test_a_perfect_run_of_few_patients_says_how_sure_it_is(material: Material) -> None:
    material.review.warnings.clear()
    (found,) = find(material, [], None)
    assert found.text.startswith("The interval is wide, 0.48 to 1.00: with 10 melanomas, small")
    assert not found.is_warning


def test_folds_that_are_calibrated_differently_are_a_warning(material: Material) -> None:
    material.review.warnings.clear()
    row = with_row(material, low=0.7, high=0.9, pooled_auc=0.8, rank_auc=0.85)
    found = find(row, [], None)
    assert sections(found) == ["calibration", "runs"]
    assert found[0].is_warning


def test_a_flattering_score_is_the_first_thing_said(material: Material) -> None:
    material.review.warnings.clear()
    flattered = find(with_row(material, is_flattered=True, low=0.95), [], None)
    assert flattered[0].text.startswith(
        "The scores are flattering: each fold predicts from the epoch"
    )
    assert flattered[0].is_warning


@pytest.mark.parametrize("several_views", [True, False])
def test_curves_that_flatter_are_told_where_views_hide_the_honest_epoch(
    material: Material, several_views: bool
) -> None:
    material.review.warnings.clear()
    oof = material.scores
    shown = oof if several_views else oof / 2
    blended = replace(material.blended, oof=oof, shown=shown)
    chosen = with_row(replace(material, blended=blended), own_epoch_auc=0.91, low=0.95)
    found = [finding.text for finding in find(chosen, [], None)]
    assert found == (
        ["Curves, groups and thresholds are of the predictions as they are, at each fold's own best "
         "epoch: 0.9100, which flatters. The AUC above is corrected for it."]
        if several_views else []
    )  # fmt: skip


def with_runs(material: Material, runs: Predictions) -> Material:
    blended = replace(material.blended, shown=runs.oof[0])
    return with_row(replace(material, predictions=runs, blended=blended), low=0.9, high=0.99)


def test_a_weak_fold_is_named_with_its_numbers(material: Material) -> None:
    material.review.warnings.clear()
    runs = simulate_runs([3.0])
    assert find(with_runs(material, runs), [], None) == []
    guessing = np.where(runs.folds == 3, simulate_runs([0.0]).oof, runs.oof)
    (found,) = find(with_runs(material, replace(runs, oof=guessing)), [], None)
    assert re.fullmatch(
        r"Fold 3 scores 0\.[45]\d{3}, the other folds 0\.9\d{3}: with \d\d melanomas in it, this is "
        r"more than chance \(p < 0\.001 after correction for 5 folds\)\. Look at its learning curve "
        r"first: was it still learning\?",
        found.text,
    )
    assert (found.section, found.is_warning) == ("learning", False)


@pytest.mark.parametrize(
    ("best", "epochs", "said"), [(6, 6, "Try more epochs"), (2, 8, "learnt by heart"), (5, 8, "")]
)
def test_when_the_best_epoch_came_says_what_to_try(
    material: Material, best: int, epochs: int, said: str
) -> None:
    material = with_row(material, low=0.95)
    material.review.warnings.clear()
    for fold in material.runs[0].path.glob("fold_*"):
        done = json.loads((fold / "done.json").read_text()) | {"best_epoch": best}
        (fold / "done.json").write_text(json.dumps(done))
        pd.DataFrame({"epoch": range(epochs)}).to_csv(fold / "metrics.csv", index=False)
    found = find(material, [], None)
    assert [said in finding.text for finding in found] == ([True] if said else [])


def test_weak_groups_pairs_and_warnings_are_named(material: Material) -> None:
    material = with_row(material, low=0.95)
    material.review.warnings[:] = ["leak: 3 patients are in two folds"]
    weak = Group("site", "oral", 90, 20, 30, 0.6, 0.5, 0.7, 0.85, 0.0041)
    other = Group("site", "torso", 90, 20, 30, 0.8, 0.7, 0.9, 0.85, 0.021)
    pairs = pd.DataFrame({"target_1": [1], "target_2": [0], "fold_1": [0], "fold_2": [1]})
    found = find(material, [weak, other, Group("site", "scalp", 9, 1, 3)], pairs)
    assert sections(found) == ["folds", "duplicates", "groups", "duplicates"]
    assert [finding.is_warning for finding in found] == [True, True, False, False]
    assert found[2].text == (
        "The group site: oral scores 0.6000, the other groups of its kind 0.8500: with 20 melanomas in "
        "it, this is more than chance (p = 0.004 after correction for 2 groups). Look at its "
        "photographs, and whether more of them can be had."
    )
