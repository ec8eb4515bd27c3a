"""What each section says of a run that is whole, and of one that lacks what it would show."""

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from melanoma.ensemble.table import p_as_text
from melanoma.files import write_json
from melanoma.report.calibration import calibration
from melanoma.report.comparison import comparison
from melanoma.report.discrimination import discrimination
from melanoma.report.distributions import distributions, edges_of, shares_of_bins
from melanoma.report.folds import folds_section
from melanoma.report.groups import Group, groups_section
from melanoma.report.headline import tiles
from melanoma.report.learning import learning
from melanoma.report.provenance import provenance
from melanoma.report.reading import Material, read_material
from noisy_run import noisy_run


@pytest.fixture
def run(competition: Path, folds_csv: Path) -> Path:
    return noisy_run(competition, folds_csv, "whole", seed=0)


@pytest.fixture
def material(run: Path) -> Material:
    return read_material([run])


@pytest.fixture
def both(run: Path, competition: Path, folds_csv: Path) -> Material:
    return read_material([run, noisy_run(competition, folds_csv, "other", seed=1)])


def test_the_headline_is_the_ensemblers_row(material: Material) -> None:
    first, *_, folds, time = tiles(material)
    assert first.value == f"{material.row.pooled_auc:.4f}"
    assert folds.value == "2 of 2"
    assert time.value == "-"  # this run does not say how long it took


def test_folds_have_a_line_each_and_a_chart_per_factor(material: Material) -> None:
    section = folds_section(material)
    assert [row[0] for row in section.tables[0].rows] == ["0", "1"]
    assert [chart.name for chart in section.charts] == [
        "balance-sex",
        "balance-anatom-site-general-challenge",
        "balance-age-approx",
        "balance-diagnosis",
    ]
    widths = [trace["x"] for trace in section.charts[0].figure["data"]]
    assert np.sum(widths, axis=0).tolist() == pytest.approx([1, 1])


def test_learning_curves_mark_the_epoch_that_was_kept(run: Path) -> None:
    epochs = pd.DataFrame({"epoch": [0, 1], "learning_rate": [0.1, 0.2], "val_auc": [0.5, 0.6]})
    epochs.to_csv(run / "fold_0/metrics.csv", index=False)
    done = json.loads((run / "fold_0/done.json").read_text())
    write_json(run / "fold_0/done.json", done | {"best_epoch": 2})
    (run / "fold_1/metrics.csv").unlink()
    section = learning(read_material([run]))
    assert [chart.title for chart in section.charts] == ["Validation AUC", "Learning rate"]
    (mark,) = [t for t in section.charts[0].figure["data"] if t["mode"] == "markers"]
    assert (mark["x"], mark["y"]) == ([2], [0.6])
    assert "no readable metrics.csv of fold 1" in section.notes[0]


def test_unfinished_folds_have_learning_curves_too(run: Path) -> None:
    (run / "fold_1/done.json").unlink()
    section = learning(read_material([run]))
    assert [list(row[:2]) for row in section.tables[0].rows][1] == ["1", "not finished"]


def test_views_are_mentioned_where_they_make_a_difference(run: Path) -> None:
    config = json.loads((run / "config.yaml").read_text())
    (run / "config.yaml").write_text(json.dumps(config | {"model": {"views": 8}}))
    assert "mean over 8 views" in learning(read_material([run])).notes[0]


def test_curves_have_a_line_per_fold_and_a_pooled_one(material: Material) -> None:
    section = discrimination(material)
    for chart in section.charts:
        assert len(chart.figure["data"]) == 2 + 2  # the folds, chance, pooled
    assert section.tables[0].rows[-1][1] == f"{material.row.pooled_auc:.4f}"


def test_distributions_show_the_test_set_where_there_is_one(material: Material, run: Path) -> None:
    names = [trace["name"] for trace in distributions(material).charts[0].figure["data"]]
    assert names[-1] == "test"
    (shift,) = material.review.shifts
    said = (
        f"points (Kolmogorov-Smirnov, by patients: {p_as_text(shift.p_value)}): no shift to speak"
    )
    assert said in distributions(material).charts[0].description
    for fold in (0, 1):
        (run / f"fold_{fold}/test.csv").unlink()
    section = distributions(read_material([run]))
    assert "no test predictions" in section.notes[0]
    assert len(section.charts[0].figure["data"]) == 2
    assert not section.tables


def test_bins_hold_all_values() -> None:
    values = np.array([0.0, 1e-9, 0.5, 1.0])
    assert sum(shares_of_bins(values, edges_of(values))) == pytest.approx(1)
    assert sum(shares_of_bins(np.array([0.3, 0.3]), edges_of(np.array([0.3, 0.3])))) == 1


def test_groups_are_beside_the_others_of_their_kind(material: Material) -> None:
    group = Group("sex", "male", 20, 6, 5, 0.75, 0.5, 0.9, 0.8123, 0.0004)
    small = Group("sex", "female", 20, 2, 5)
    (table,) = groups_section(material, [small, group], []).tables
    assert table.head[-2:] == ["other groups", "p"]
    assert list(table.rows[0][-2:]) == ["-", "-"]
    assert list(table.rows[1][-2:]) == ["0.8123", "< 0.001"]


def test_the_calibration_error_is_beside_that_of_a_calibrated_model(material: Material) -> None:
    said, row = calibration(material).charts[0].description, material.row
    assert f"The expected calibration error is {row.calibration_error:.4f}, the Brier" in said
    assert f"would show a calibration error of {row.calibrated_error:.4f} on average, and" in said
    assert f"of more than {row.calibrated_error_high:.4f} in 5 of 100 samples" in said


def test_ranks_are_not_calibrated(both: Material, material: Material) -> None:
    assert calibration(material).charts
    assert calibration(both).charts or "no probabilities" in calibration(both).notes[0]


def test_the_comparison_is_the_ensemblers(both: Material, material: Material) -> None:
    scores, weights = comparison(both).tables
    assert [row[0] for row in weights.rows] == both.predictions.names
    assert len(scores.rows) == len(both.blended.rows)
    assert sum("(reported here)" in row[0] for row in scores.rows) == 1
    assert comparison(both).charts[0].table
    assert len(comparison(material).tables) == 1


def test_what_was_used_has_no_paths_and_says_what_is_missing(run: Path) -> None:
    bare = provenance(read_material([run]))
    assert "no readable run.json" in bare.notes[0]
    environment = {"versions": {"torch": "2"}, "hardware": {"gpus": []}, "code": None}
    record = {"seed": 1, "config_sha256": "abc", "environments": [environment, "nonsense"]}
    write_json(run / "run.json", record | {"photographs": {"n": 3, "names_and_sizes_sha256": "d"}})
    section = provenance(read_material([run]))
    cells = [cell for table in section.tables for row in table.rows for cell in row]
    assert {"versions: torch", "none", "abc", "names and sizes of 3 photographs"} <= set(cells)
    assert "fold_0/oof.csv" in cells
    assert not [cell for cell in cells if str(run.parent) in cell]
