import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from melanoma.ensemble.submission import build_submission
from melanoma.epoch_predictions import EpochPredictions, write_epoch_predictions
from melanoma.errors import ConfigError, MelanomaError, RunError, TableError
from melanoma.metrics import auc
from melanoma.run_folder import RunFolder

ROOT = Path(__file__).resolve().parents[2]
Change = Callable[[pd.DataFrame], pd.DataFrame]


def finish_run(
    path: Path, competition: Path, folds_csv: Path, seed: int = 0, n_folds: int = 2
) -> RunFolder:
    """A finished run, as training would leave it."""
    run = RunFolder(path)
    data = {"data_dir": str(competition), "folds_csv": str(folds_csv)}
    run.path.mkdir(parents=True)
    run.config_yaml.write_text(json.dumps({"predict_from": "last", "data": data}))
    train = pd.read_csv(competition / "train.csv")
    test = pd.read_csv(competition / "test.csv")
    folds = pd.read_csv(folds_csv)["fold"]
    random = np.random.default_rng(seed)
    for fold in range(n_folds):
        folder = run.fold(fold)
        folder.path.mkdir()
        rows = train[folds == fold]
        oof = rows[["image_name", "patient_id"]].assign(fold=fold, target=rows["target"])
        oof.assign(prediction=random.random(len(rows))).to_csv(folder.oof_csv, index=False)
        predicted = test[["image_name"]].assign(prediction=random.random(len(test)))
        predicted.sample(frac=1, random_state=fold).to_csv(folder.test_csv, index=False)
        folder.done_json.write_text("{}")
    return run


@pytest.fixture
def folds_csv(tmp_path: Path, competition: Path) -> Path:
    """Two folds, faster than by create_folds.py."""
    train = pd.read_csv(competition / "train.csv")
    path = tmp_path / "folds" / "folds.csv"
    path.parent.mkdir()
    patients = pd.factorize(train["patient_id"])[0]
    train[["image_name"]].assign(fold=patients % 2).to_csv(path, index=False)
    return path


@pytest.fixture
def run(tmp_path: Path, competition: Path, folds_csv: Path) -> RunFolder:
    return finish_run(tmp_path / "runs" / "tiny", competition, folds_csv)


@pytest.fixture
def other(tmp_path: Path, competition: Path, folds_csv: Path) -> RunFolder:
    return finish_run(tmp_path / "runs" / "other", competition, folds_csv, seed=1)


def description(folder: Path) -> dict[str, object]:
    content: dict[str, object] = json.loads((folder / "submission.json").read_text())
    return content


def test_a_submission_has_the_forms_ids_in_its_order_and_the_folds_mean(
    run: RunFolder, competition: Path
) -> None:
    form = pd.read_csv(competition / "sample_submission.csv").iloc[::-1]
    form.to_csv(competition / "sample_submission.csv", index=False)
    built = build_submission([run.path])
    assert built.submission_csv == run.submission_csv
    submission = pd.read_csv(run.submission_csv)
    assert list(submission.columns) == ["image_name", "target"]
    assert submission["image_name"].tolist() == form["image_name"].tolist()
    first, second = (
        pd.read_csv(run.fold(k).test_csv).set_index("image_name")["prediction"] for k in (0, 1)
    )
    mean = (first + second) / 2
    assert submission["target"].tolist() == pytest.approx(mean[form["image_name"]].tolist())


def test_out_of_fold_predictions_are_in_the_order_of_train_csv(
    run: RunFolder, competition: Path
) -> None:
    built = build_submission([run.path])
    oof = pd.read_csv(run.oof_csv)
    names = pd.read_csv(competition / "train.csv")["image_name"]
    assert oof["image_name"].tolist() == names.tolist()
    assert list(oof.columns) == ["image_name", "patient_id", "fold", "target", "prediction"]
    (row,) = built.blended.rows
    assert row.pooled_auc == auc(oof["target"], oof["prediction"])
    assert f"tiny  {row.pooled_auc:.4f}" in built.as_text()
    assert built.path == built.submission_csv


def test_without_a_test_set_there_is_a_score_and_no_submission(
    run: RunFolder, competition: Path
) -> None:
    for name in ("test.csv", "sample_submission.csv"):
        (competition / name).unlink()
    for fold in (0, 1):
        run.fold(fold).test_csv.unlink()
    built = build_submission([run.path])
    assert built.submission_csv is None
    assert built.path == built.oof_csv == run.oof_csv
    assert run.oof_csv.is_file()


def test_without_a_form_the_test_table_gives_the_ids(run: RunFolder, competition: Path) -> None:
    (competition / "sample_submission.csv").unlink()
    build_submission([run.path])
    written = set(pd.read_csv(run.submission_csv)["image_name"])
    assert written == set(pd.read_csv(competition / "test.csv")["image_name"])


def test_moved_data_is_found_where_it_is_said_to_be(run: RunFolder, competition: Path) -> None:
    moved = competition.rename(competition.with_name("moved"))
    with pytest.raises(MelanomaError, match="no such folder"):
        build_submission([run.path])
    assert build_submission([run.path], data_dir=moved).submission_csv


def test_a_missing_fold_is_named_with_the_command_that_trains_it(run: RunFolder) -> None:
    run.fold(1).done_json.unlink()
    with pytest.raises(RunError, match=r"fold 1 not finished. Train with .* --fold 1\."):
        build_submission([run.path])
    assert not run.submission_csv.exists()


def test_of_unfinished_runs_the_folds_are_taken_that_all_have(
    run: RunFolder, other: RunFolder, tmp_path: Path
) -> None:
    run.fold(1).done_json.unlink()
    built = build_submission([run.path, other.path], out_dir=tmp_path, allow_missing_folds=True)
    assert built.folds == [0]
    assert "rests on 1 finished fold(s) that all runs have: 0." in built.as_text()
    elsewhere = tmp_path / "elsewhere.csv"
    parts = [pd.read_csv(other.fold(fold).oof_csv) for fold in (0, 1)]
    pd.concat(parts).to_csv(elsewhere, index=False)
    beside = build_submission(
        [run.path], [elsewhere], out_dir=tmp_path / "beside", allow_missing_folds=True
    )
    assert beside.folds == [0]
    other.fold(0).done_json.unlink()
    with pytest.raises(
        RunError, match=r"no fold is finished in all of the runs.*other: 1; .*tiny: 0\)\. Train the"
    ):
        build_submission([run.path, other.path], out_dir=tmp_path, allow_missing_folds=True)
    run.fold(0).done_json.unlink()
    with pytest.raises(RunError, match=r"tiny: no fold is finished, .* Train with .*--fold all"):
        build_submission([run.path, other.path], out_dir=tmp_path, allow_missing_folds=True)
    run.config_yaml.unlink()
    with pytest.raises(RunError, match=r"no run folder, it has no config.yaml"):
        build_submission([run.path, other.path], out_dir=tmp_path, allow_missing_folds=True)


def test_what_the_folds_of_a_run_predict_is_blended_without_its_training_table(
    run: RunFolder, tmp_path: Path
) -> None:
    """As of somebody else's checkpoints, of which there is nothing out of fold."""
    tables = [run.fold(fold).test_csv for fold in (0, 1)]
    built = build_submission(submissions=tables, out_dir=tmp_path / "theirs")
    first, second = (pd.read_csv(path).set_index("image_name")["prediction"] for path in tables)
    assert built.submission_csv is not None
    made = pd.read_csv(built.submission_csv).set_index("image_name")["target"]
    assert made.to_dict() == pytest.approx(((first + second) / 2).to_dict())


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda t: t.iloc[1:], r"oof.csv: no prediction for TRAIN_"),
        (
            lambda t: pd.concat([t, t.iloc[:1]]),
            r"oof.csv: image_name TRAIN_\d+ occurs more than once",
        ),
        (
            lambda t: t.assign(prediction=np.nan),
            r"oof.csv: prediction of .* is not a number between",
        ),
        (lambda t: t.assign(prediction=1.5), r"\(1.5\).* is not a number between"),
        (lambda t: t.assign(target=1 - t["target"]), r"target of .* differs from the tables"),
        (lambda t: t.assign(fold=7), r"fold of .* differs from the tables"),
        (
            lambda t: pd.concat([t, t.iloc[:1].assign(image_name="X")]),
            r"oof.csv: X not in this fold",
        ),
        (lambda t: t.drop(columns="patient_id"), r"oof.csv: no column patient_id"),
    ],
)
def test_a_broken_out_of_fold_table_is_named(run: RunFolder, change: Change, message: str) -> None:
    path = run.fold(0).oof_csv
    change(pd.read_csv(path)).to_csv(path, index=False)
    with pytest.raises(TableError, match=message):
        build_submission([run.path])
    assert not run.submission_csv.exists()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda t: t.iloc[1:], r"test.csv: no prediction for TEST_\d+ of .*sample_submission"),
        (
            lambda t: pd.concat([t, t.iloc[:1]]),
            r"test.csv: image_name TEST_\d+ occurs more than once",
        ),
        (lambda t: t.assign(prediction=np.nan), r"prediction of .* \(nan\).* is not a number"),
        (lambda t: t.assign(prediction=-0.1), r"is not a number between 0 and 1"),
        (lambda t: pd.concat([t, t.iloc[:1].assign(image_name="X")]), r"X not in .*sample_sub"),
    ],
)
def test_a_broken_test_table_is_named(run: RunFolder, change: Change, message: str) -> None:
    path = run.fold(1).test_csv
    change(pd.read_csv(path)).to_csv(path, index=False)
    with pytest.raises(TableError, match=message):
        build_submission([run.path])
    assert not run.submission_csv.exists()


def test_a_fold_without_test_predictions_is_named(run: RunFolder) -> None:
    run.fold(1).test_csv.unlink()
    with pytest.raises(RunError, match=r"fold_1/test.csv. Predict .*predict_folds.py --run-dir"):
        build_submission([run.path])


def test_folds_that_predict_different_images_are_named(run: RunFolder, competition: Path) -> None:
    (competition / "sample_submission.csv").unlink()
    path = run.fold(1).test_csv
    pd.read_csv(path).iloc[1:].to_csv(path, index=False)
    with pytest.raises(TableError, match="Folds that predict different images"):
        build_submission([run.path])


def test_one_run_is_built_into_its_folder_again_and_again(run: RunFolder) -> None:
    build_submission([run.path])
    before = {path.name: path.read_bytes() for path in run.path.glob("*.*")}
    assert {"oof.csv", "submission.csv", "submission.json"} <= before.keys()
    build_submission([run.path])
    assert {path.name: path.read_bytes() for path in run.path.glob("*.*")} == before
    # Trained on: the same command replaces what it made.
    path = run.fold(0).oof_csv
    pd.read_csv(path).assign(prediction=0.5).to_csv(path, index=False)
    build_submission([run.path])
    assert run.oof_csv.read_bytes() != before["oof.csv"]


def test_what_was_built_before_there_were_descriptions_may_be_built_again(run: RunFolder) -> None:
    build_submission([run.path])
    (run.path / "submission.json").unlink()
    build_submission([run.path])
    (run.path / "submission.json").unlink()
    run.submission_csv.write_text("another")
    with pytest.raises(ConfigError, match=r"submission.csv would be lost: .* --overwrite"):
        build_submission([run.path])
    build_submission([run.path], overwrite=True)


def test_runs_are_blended_into_a_folder_of_their_own(
    run: RunFolder, other: RunFolder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    built = build_submission([run.path, other.path])
    assert built.submission_csv == Path("runs/blend/submission.csv")
    one, two = (build_submission([r.path]).submission_csv for r in (run, other))
    assert one is not None
    assert two is not None
    mean = (pd.read_csv(one)["target"] + pd.read_csv(two)["target"]) / 2
    assert pd.read_csv(built.submission_csv)["target"].tolist() == pytest.approx(mean.tolist())
    comparisons = pd.read_csv("runs/blend/comparisons.csv")
    assert comparisons["first"].tolist() == ["other", "other", "tiny"]


@pytest.mark.parametrize("method", ["mean", "rank", "weighted"])
def test_the_order_of_runs_changes_no_byte(
    method: str, run: RunFolder, other: RunFolder, tmp_path: Path
) -> None:
    written = []
    for number, runs in enumerate([[run.path, other.path], [other.path, run.path]]):
        out_dir = tmp_path / str(number)
        build_submission(runs, method=method, out_dir=out_dir)  # type: ignore[arg-type]
        written.append({path.name: path.read_bytes() for path in out_dir.iterdir()})
    assert written[0] == written[1]


def test_the_description_says_what_it_was_made_of(
    run: RunFolder, other: RunFolder, tmp_path: Path
) -> None:
    out_dir = tmp_path / "out"
    build_submission([run.path, other.path], method="best", out_dir=out_dir)
    content = description(out_dir)
    assert content["runs"] == ["other", "tiny"]
    assert len(content["rows"]) == 2 + 6  # type: ignore[arg-type]
    inputs = content["inputs"]
    assert isinstance(inputs, dict)
    assert inputs.keys() == {
        str(r.fold(fold).path / name)
        for r in (run, other)
        for fold in (0, 1)
        for name in ("oof.csv", "test.csv")
    }
    assert content["notes"][0].startswith("best: ")  # type: ignore[index]


def test_tables_made_elsewhere_are_blended_like_runs(
    run: RunFolder, other: RunFolder, tmp_path: Path
) -> None:
    for each in (run, other):
        build_submission([each.path])
    tables, submissions = [run.oof_csv, other.oof_csv], [run.submission_csv, other.submission_csv]
    of_runs = build_submission([run.path, other.path], out_dir=tmp_path / "runs_blended")
    built = build_submission(oof=tables, submissions=submissions, out_dir=tmp_path / "tables")
    assert built.blended.oof == pytest.approx(of_runs.blended.oof)
    assert built.blended.test == pytest.approx(of_runs.blended.test)
    without = build_submission(oof=tables, method="weighted", out_dir=tmp_path / "no_test")
    assert without.submission_csv is None
    assert without.path == tmp_path / "no_test" / "oof.csv"
    half = build_submission([run.path], oof=tables[1:], out_dir=tmp_path / "half")
    assert half.submission_csv is None
    assert half.blended.notes[-1].startswith(f"no submission: {tables[1]} has no test predictions")
    mixed = build_submission(
        [run.path],
        oof=tables[1:],
        submissions=submissions[1:],
        weights=[1, 0],
        out_dir=tmp_path / "mixed",
    )
    alone = pd.read_csv(run.submission_csv)["target"]
    assert mixed.blended.test == pytest.approx(alone.to_numpy())


def test_submissions_alone_are_blended(
    run: RunFolder, other: RunFolder, competition: Path, tmp_path: Path
) -> None:
    for each in (run, other):
        build_submission([each.path])
    form = pd.read_csv(competition / "sample_submission.csv").iloc[::-1]
    form.to_csv(competition / "sample_submission.csv", index=False)
    paths = [run.submission_csv, other.submission_csv]
    built = build_submission(
        submissions=paths, weights=[3, 1], data_dir=competition, out_dir=tmp_path / "out"
    )
    assert built.oof_csv is None
    assert built.submission_csv is not None
    written = pd.read_csv(built.submission_csv)
    assert written["image_name"].tolist() == form["image_name"].tolist()
    one, two = (pd.read_csv(path).set_index("image_name")["target"] for path in paths)
    expected = (0.75 * one + 0.25 * two)[form["image_name"]]
    assert written["target"].tolist() == pytest.approx(expected.tolist())
    content = description(tmp_path / "out")
    assert (content["rows"], content["chosen"]) == ([], None)
    assert content["weights"] == {
        str(path): w for path, w in zip(sorted(paths, reverse=True), (0.75, 0.25))
    }


def test_runs_on_other_folds_are_named(run: RunFolder, other: RunFolder, tmp_path: Path) -> None:
    swapped = tmp_path / "folds" / "swapped.csv"
    folds = pd.read_csv(tmp_path / "folds" / "folds.csv")
    folds.assign(fold=1 - folds["fold"]).to_csv(swapped, index=False)
    config = json.loads(other.config_yaml.read_text())
    config["data"]["folds_csv"] = str(swapped)
    other.config_yaml.write_text(json.dumps(config))
    for fold in (0, 1):
        other.fold(fold).path.rename(other.path / f"old_{fold}")
    for fold in (0, 1):
        (other.path / f"old_{1 - fold}").rename(other.fold(fold).path)
        table = pd.read_csv(other.fold(fold).oof_csv)
        table.assign(fold=fold).to_csv(other.fold(fold).oof_csv, index=False)
    with pytest.raises(
        TableError, match=r"fold of TRAIN_.* is another than in .*other. Blend only"
    ):
        build_submission([run.path, other.path], out_dir=tmp_path / "out")


def test_a_context_needs_whom_test_images_are_of(
    run: RunFolder, competition: Path, tmp_path: Path
) -> None:
    built = build_submission([run.path], context=True, out_dir=tmp_path / "out")
    assert built.blended.notes[-1].startswith("context: ")
    (competition / "test.csv").unlink()
    with pytest.raises(ConfigError, match=r"--context needs to know .*test.csv"):
        build_submission([run.path], context=True, out_dir=tmp_path / "out2")


def test_the_correlation_with_an_earlier_submission_is_printed(
    run: RunFolder, other: RunFolder, competition: Path, tmp_path: Path
) -> None:
    build_submission([run.path])
    built = build_submission([run.path], previous=run.submission_csv)
    assert built.as_text().endswith("correlation with the earlier submission: 1.0000")
    for name in ("test.csv", "sample_submission.csv"):
        (competition / name).unlink()
    for fold in (0, 1):
        other.fold(fold).test_csv.unlink()
    with pytest.raises(ConfigError, match="--previous needs test predictions"):
        build_submission([other.path], previous=run.submission_csv)


def test_the_script_takes_lists_and_prints_the_path_last(run: RunFolder, other: RunFolder) -> None:
    arguments = ["--run-dir", str(run.path), str(other.path), "--weights", "1", "2"]
    arguments += ["--out-dir", str(run.path.parent / "out")]
    command = [sys.executable, str(ROOT / "scripts" / "build_submission.py"), *arguments]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[-1] == str(run.path.parent / "out" / "submission.csv")
    again = subprocess.run([*command, "--method", "rank"], capture_output=True, text=True)
    assert again.returncode == 2
    assert "describes another blend" in again.stderr


def predict_from_best(run: RunFolder) -> None:
    """Make a run one that predicts from each fold's best epoch of four, which differ by luck."""
    config = json.loads(run.config_yaml.read_text())
    run.config_yaml.write_text(json.dumps(config | {"predict_from": "best"}))
    random = np.random.default_rng(5)
    for number in run.finished_folds():
        folder = run.fold(number)
        oof = pd.read_csv(folder.oof_csv)
        predictions = random.random((4, len(oof))).astype(np.float32)
        best = max(predictions, key=lambda epoch: auc(oof["target"], epoch))
        oof.assign(prediction=best.astype(np.float64)).to_csv(folder.oof_csv, index=False)
        numbers = np.arange(4)
        write_epoch_predictions(folder.epochs_npz, EpochPredictions(numbers, numbers, predictions))


def test_a_run_that_predicts_from_its_best_epochs_is_scored_at_those_of_other_folds(
    tmp_path: Path, competition: Path, folds_csv: Path
) -> None:
    folds = pd.read_csv(folds_csv)
    folds["fold"] = pd.read_csv(competition / "train.csv").groupby("target").cumcount() % 3
    folds.to_csv(folds_csv, index=False)
    run = finish_run(tmp_path / "runs" / "tiny", competition, folds_csv, n_folds=3)
    predict_from_best(run)
    built = build_submission([run.path])
    (row,) = built.blended.rows
    written = pd.read_csv(run.oof_csv)
    flattering = auc(written["target"], written["prediction"])
    assert row.own_epoch_auc == flattering > row.pooled_auc
    text = built.as_text()
    assert "scored at the epoch that the other folds choose" in text.replace("\n  ", " ")
    assert f"AUC of tiny is {flattering:.4f}, which flatters" in text.replace("\n  ", " ")
    chosen = description(run.path)["chosen"]
    assert isinstance(chosen, dict)
    assert (chosen["own_epoch_auc"], chosen["is_flattered"]) == (flattering, False)
    inputs = description(run.path)["inputs"]
    assert isinstance(inputs, dict)
    assert str(run.fold(2).epochs_npz) in inputs


@pytest.mark.parametrize("lacks", ["folds", "epochs"])
def test_a_score_that_cannot_be_corrected_is_called_flattering(run: RunFolder, lacks: str) -> None:
    if lacks == "folds":  # two are too few to choose for each other
        predict_from_best(run)
    else:  # as an earlier version left it
        config = json.loads(run.config_yaml.read_text())
        del config["predict_from"]
        run.config_yaml.write_text(json.dumps(config))
    built = build_submission([run.path])
    text = built.as_text()
    assert text.splitlines()[1].startswith("tiny, flattering ")
    assert "flattering: tiny predicts from the epoch that scores best" in text
    chosen = description(run.path)["chosen"]
    assert isinstance(chosen, dict)
    assert (chosen["own_epoch_auc"], chosen["is_flattered"]) == (None, True)
