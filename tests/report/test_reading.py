import json
import shutil
from pathlib import Path

import pandas as pd
import pytest

from melanoma.errors import ConfigError, RunError, TableError
from melanoma.folds.creation import create_folds
from melanoma.report.reading import default_output, read_material
from whole_run import whole_run


@pytest.fixture
def run(competition: Path, folds_csv: Path) -> Path:
    return whole_run(competition, folds_csv)


def test_a_whole_run_misses_nothing(run: Path) -> None:
    material = read_material([run])
    assert material.folds == material.known_folds == [0, 1]
    assert material.missing.notes == {}
    assert material.row.pooled_auc == 1.0
    assert material.rows["image_name"].tolist() == material.predictions.table["image_name"].tolist()
    assert material.title == "whole"


def test_a_missing_fold_is_left_out_and_said(run: Path) -> None:
    (run / "fold_1/done.json").unlink()
    material = read_material([run])
    assert material.folds == [0]
    assert set(material.predictions.folds) == {0}
    (note,) = material.missing.of("folds")
    assert "fold 1 not finished" in note
    assert "--fold 1." in note


def test_missing_test_predictions_are_said(run: Path) -> None:
    (run / "fold_1/test.csv").unlink()
    material = read_material([run])
    assert material.predictions.test == ()
    assert "no test predictions of fold 1" in material.missing.of("scores")[0]


def test_a_run_that_was_copied_alone_is_read(run: Path, competition: Path) -> None:
    before = read_material([run]).row
    shutil.rmtree(competition)
    material = read_material([run])
    assert material.row == before
    assert "Give the competition folder as --data-dir" in material.missing.of("groups")[0]


def test_the_folder_of_the_competition_can_be_given(run: Path, competition: Path) -> None:
    moved = competition.rename(competition.with_name("moved"))
    assert "sex" in read_material([run], moved).rows.columns


def test_several_runs_are_reported_on_the_folds_they_share(
    run: Path, competition: Path, folds_csv: Path
) -> None:
    other = whole_run(competition, folds_csv, "other", shift=0.1)
    assert read_material([run, other]).blended.notes[0].startswith("best: ")
    (other / "fold_0/done.json").unlink()
    material = read_material([run, other])
    assert material.folds == [1]
    assert material.predictions.names == ["other", "whole"]


def test_a_configuration_without_data_is_no_obstacle(run: Path) -> None:
    (run / "config.yaml").write_text(json.dumps({"seed": 1}))
    assert read_material([run]).row.pooled_auc == 1.0


def test_what_cannot_be_reported_on_is_one_message(run: Path) -> None:
    with pytest.raises(ConfigError, match=r"no run to report on\. Give --run-dir"):
        read_material([])
    with pytest.raises(ConfigError, match="given twice"):
        read_material([run, run])
    for fold in (0, 1):
        (run / f"fold_{fold}/done.json").unlink()
    with pytest.raises(RunError, match=r"no fold is finished, so there is nothing.*--fold all"):
        read_material([run])


def test_runs_that_share_no_finished_fold(run: Path, competition: Path, folds_csv: Path) -> None:
    other = whole_run(competition, folds_csv, "other")
    (run / "fold_0/done.json").unlink()
    (other / "fold_1/done.json").unlink()
    with pytest.raises(RunError, match="no fold is finished in all of them"):
        read_material([run, other])


def test_runs_of_different_data_are_not_compared(
    run: Path, competition: Path, tmp_path: Path
) -> None:
    elsewhere = tmp_path / "elsewhere"
    shutil.copytree(competition, elsewhere / "input")
    path = elsewhere / "input" / "train.csv"
    train = pd.read_csv(path)
    train.assign(image_name="X" + train["image_name"]).to_csv(path, index=False)
    folds_csv = elsewhere / "folds" / "folds.csv"
    create_folds(elsewhere / "input", n_folds=2, output=folds_csv)
    other = whole_run(elsewhere / "input", folds_csv, "other")
    with pytest.raises(
        TableError, match=r"no prediction for .*Blend only what was made on the same"
    ):
        read_material([run, other])


def test_tensorboard_is_not_needed(run: Path) -> None:
    assert not list(run.rglob("events.out.tfevents*"))
    assert read_material([run]).missing.notes == {}


def test_where_a_report_goes() -> None:
    assert default_output([Path("runs/a")]) == Path("runs/a/report.html")
    assert default_output([Path("runs/a"), Path("runs/b")]) == Path("runs/blend/report.html")


def test_rows_have_the_columns_of_the_table(run: Path, competition: Path) -> None:
    train = pd.read_csv(competition / "train.csv")
    assert set(train.columns) <= set(read_material([run]).rows.columns)
