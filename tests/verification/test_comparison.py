import json
from pathlib import Path

import pytest

from melanoma.errors import RunError
from melanoma.files import write_json
from melanoma.run_folder import RunFolder
from melanoma.verification.comparison import compare_runs
from whole_run import whole_run


def test_a_run_is_the_same_as_its_repetition(competition: Path, folds_csv: Path) -> None:
    one, two = (whole_run(competition, folds_csv, name) for name in ("one", "two"))
    compared = compare_runs(one, two)
    assert compared.is_same
    assert compared.differences == []
    assert len(compared.files) == 6
    assert compared.as_text().endswith("every result is the same to the byte")


def test_other_predictions_are_named_with_how_far_they_are(
    competition: Path, folds_csv: Path
) -> None:
    one = whole_run(competition, folds_csv, "one")
    compared = compare_runs(one, whole_run(competition, folds_csv, "two", shift=0.125))
    assert not compared.is_same
    differing = compared.files[compared.files["bytes"] == "differs"]
    assert differing["file"].tolist() == ["oof.csv", "oof.csv"]
    assert differing["largest difference"].tolist() == ["0.12", "0.12"]
    assert compared.aucs.iloc[:, 1:].eq(1.0).all(axis=None)
    assert compared.as_text().endswith("results differ")


def test_other_settings_versions_and_hardware_are_named(competition: Path, folds_csv: Path) -> None:
    runs = [RunFolder(whole_run(competition, folds_csv, name)) for name in ("one", "two")]
    for run, seed, torch, cores in zip(runs, (1, 2), ("2.8", "2.9"), (2, 4)):
        config = run.read_config() | {"seed": seed}
        run.config_yaml.write_text(json.dumps(config))
        last = {"versions": {"torch": torch}, "hardware": {"cores": cores}, "code": None}
        first = {"versions": {"torch": "1.0"}}
        write_json(run.record_json, {"seed": seed, "environments": [first, last]})
    assert compare_runs(runs[1].path, runs[0].path).differences == [
        "seed was 1, is 2",
        "hardware.cores was 2, is 4",
        "versions.torch was 2.8, is 2.9",
    ]


def test_what_only_one_run_has_is_not_the_same(competition: Path, folds_csv: Path) -> None:
    one, two = (whole_run(competition, folds_csv, name) for name in ("one", "two"))
    (two / "fold_1" / "test.csv").unlink()
    compared = compare_runs(one, two)
    assert compared.files["bytes"].tolist().count("in one only") == 1
    assert not compared.is_same


def test_runs_of_other_images_are_said_to_be(competition: Path, folds_csv: Path) -> None:
    one, two = (whole_run(competition, folds_csv, name) for name in ("one", "two"))
    path = two / "fold_0" / "test.csv"
    path.write_text(path.read_text().replace("TEST_001", "TEST_999"))
    assert "other images" in compare_runs(one, two).files["largest difference"].tolist()


def test_without_a_finished_fold_nothing_is_the_same(competition: Path, folds_csv: Path) -> None:
    one, two = (whole_run(competition, folds_csv, name) for name in ("one", "two"))
    for run_dir in (one, two):
        for fold in (0, 1):
            (run_dir / f"fold_{fold}" / "done.json").unlink()
    compared = compare_runs(one, two)
    assert not compared.is_same
    assert "no fold is finished in both" in compared.as_text()


def test_a_fold_without_an_auc_is_named(competition: Path, folds_csv: Path) -> None:
    one, two = (whole_run(competition, folds_csv, name) for name in ("one", "two"))
    (two / "fold_0" / "done.json").write_text("{}")
    with pytest.raises(RunError, match=r"two/fold_0/done.json: holds no AUC"):
        compare_runs(one, two)
