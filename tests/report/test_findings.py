import json
from dataclasses import replace
from pathlib import Path

import pandas as pd
import pytest

from melanoma.report.findings import find
from melanoma.report.groups import Group
from melanoma.report.parts import Finding
from melanoma.report.reading import Material, read_material
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


def test_folds_that_differ_are_named(material: Material) -> None:
    material.review.warnings.clear()
    row = with_row(material, low=0.7, high=0.9, pooled_auc=0.8, rank_auc=0.85, fold_aucs=[0.9, 0.6])
    found = find(row, [], None)
    assert sections(found) == ["calibration", "runs", "learning"]
    assert found[0].is_warning
    assert "Fold 1 (0.6000)" in found[2].text


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
    weak = Group("site", "oral", 90, 20, 30, 0.6, 0.5, 0.7)
    pairs = pd.DataFrame({"target_1": [1], "target_2": [0], "fold_1": [0], "fold_2": [1]})
    found = find(material, [weak, Group("site", "torso", 9, 1, 3)], pairs)
    assert sections(found) == ["folds", "duplicates", "groups", "duplicates"]
    assert [finding.is_warning for finding in found] == [True, True, False, False]
    assert "site oral (0.6000)" in found[2].text
