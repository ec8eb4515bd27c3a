import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from melanoma.ensemble.blend import mean_blend
from melanoma.ensemble.oof import score_oof
from melanoma.ensemble.submission import build_submission, check_submission
from melanoma.errors import MelanomaError, RunError, TableError
from melanoma.metrics import auc
from melanoma.run_folder import RunFolder

Change = Callable[[pd.DataFrame], pd.DataFrame]


@pytest.fixture
def run(tmp_path: Path, competition: Path, folds_csv: Path) -> RunFolder:
    """A finished run, as training would leave it."""
    run = RunFolder(tmp_path / "runs" / "tiny")
    data = {"data_dir": str(competition), "folds_csv": str(folds_csv)}
    run.path.mkdir(parents=True)
    run.config_yaml.write_text(json.dumps({"data": data}))
    train = pd.read_csv(competition / "train.csv")
    test = pd.read_csv(competition / "test.csv")
    folds = pd.read_csv(folds_csv)["fold"]
    random = np.random.default_rng(0)
    for fold in (0, 1):
        folder = run.fold(fold)
        folder.path.mkdir()
        rows = train[folds == fold]
        oof = rows[["image_name", "patient_id"]].assign(fold=fold, target=rows["target"])
        oof.assign(prediction=random.random(len(rows))).to_csv(folder.oof_csv, index=False)
        predicted = test[["image_name"]].assign(prediction=random.random(len(test)))
        predicted.sample(frac=1, random_state=fold).to_csv(folder.test_csv, index=False)
        folder.done_json.write_text("{}")
    return run


def test_a_submission_has_the_forms_ids_in_its_order_and_the_folds_mean(
    run: RunFolder, competition: Path
) -> None:
    form = pd.read_csv(competition / "sample_submission.csv").iloc[::-1]
    form.to_csv(competition / "sample_submission.csv", index=False)
    built = build_submission(run.path)
    assert built.submission_csv == run.submission_csv
    submission = pd.read_csv(run.submission_csv)
    assert list(submission.columns) == ["image_name", "target"]
    assert submission["image_name"].tolist() == form["image_name"].tolist()
    first, second = (
        pd.read_csv(run.fold(k).test_csv).set_index("image_name")["prediction"] for k in (0, 1)
    )
    mean = (first + second) / 2
    assert submission["target"].tolist() == pytest.approx(mean[form["image_name"]].tolist())


def test_scores_are_of_each_fold_their_mean_and_pooled(run: RunFolder, competition: Path) -> None:
    scores = build_submission(run.path).scores
    oof = pd.read_csv(run.oof_csv)
    assert (
        oof["image_name"].tolist() == pd.read_csv(competition / "train.csv")["image_name"].tolist()
    )
    assert scores.pooled_auc == auc(oof["target"], oof["prediction"])
    parts = [oof[oof["fold"] == fold] for fold in (0, 1)]
    aucs = [auc(part["target"], part["prediction"]) for part in parts]
    assert list(scores.fold_aucs.values()) == aucs
    assert scores.mean_auc == pytest.approx(np.mean(aucs))
    assert f"pooled       {scores.pooled_auc:.4f}" in scores.as_text()


def test_a_mean_of_fold_scores_is_not_sold_as_the_pooled_score() -> None:
    # Perfect within each fold, but fold 1's network predicts higher throughout.
    oof = pd.DataFrame(
        {"fold": [0, 0, 1, 1], "target": [0, 1, 0, 1], "prediction": [0.1, 0.2, 0.3, 0.4]}
    )
    scores = score_oof(oof)
    assert scores.mean_auc == 1.0
    assert scores.pooled_auc == 0.75


def test_without_a_test_set_there_is_a_score_and_no_submission(
    run: RunFolder, competition: Path
) -> None:
    for name in ("test.csv", "sample_submission.csv"):
        (competition / name).unlink()
    for fold in (0, 1):
        run.fold(fold).test_csv.unlink()
    built = build_submission(run.path)
    assert built.submission_csv is None
    assert built.oof_csv.is_file()


def test_without_a_form_the_test_table_gives_the_ids(run: RunFolder, competition: Path) -> None:
    (competition / "sample_submission.csv").unlink()
    build_submission(run.path)
    written = set(pd.read_csv(run.submission_csv)["image_name"])
    assert written == set(pd.read_csv(competition / "test.csv")["image_name"])


def test_moved_data_is_found_where_it_is_said_to_be(run: RunFolder, competition: Path) -> None:
    moved = competition.rename(competition.with_name("moved"))
    with pytest.raises(MelanomaError, match="no such folder"):
        build_submission(run.path)
    assert build_submission(run.path, moved).submission_csv


def test_a_missing_fold_is_named_with_the_command_that_trains_it(run: RunFolder) -> None:
    run.fold(1).done_json.unlink()
    with pytest.raises(RunError, match=r"fold 1 not finished. Train with .* --fold 1\."):
        build_submission(run.path)
    assert not run.submission_csv.exists()


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
        build_submission(run.path)
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
        build_submission(run.path)
    assert not run.submission_csv.exists()


def test_a_fold_without_test_predictions_is_named(run: RunFolder) -> None:
    run.fold(1).test_csv.unlink()
    with pytest.raises(RunError, match=r"fold_1/test.csv. Predict .*predict_folds.py --run-dir"):
        build_submission(run.path)


def test_folds_that_predict_different_images_are_named(run: RunFolder, competition: Path) -> None:
    (competition / "sample_submission.csv").unlink()
    path = run.fold(1).test_csv
    pd.read_csv(path).iloc[1:].to_csv(path, index=False)
    with pytest.raises(TableError, match="predict different images"):
        build_submission(run.path)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda t: t.iloc[1:], "a has no prediction"),
        (lambda t: t.replace("a", "x"), "a has no prediction"),
        (lambda t: pd.concat([t, t.iloc[:1].replace("a", "x")]), "x is not asked for"),
        (lambda t: t.iloc[::-1], "not in the order"),
        (lambda t: t.assign(target=2.0), "is not a number between 0 and 1"),
    ],
)
def test_a_submission_unlike_its_form_is_named(change: Change, message: str) -> None:
    form = pd.DataFrame({"image_name": ["a", "b"], "target": [0.0, 0.0]})
    check_submission(form, form, Path("s.csv"))
    with pytest.raises(TableError, match=message):
        check_submission(change(form), form, Path("s.csv"))


@given(st.lists(st.floats(0, 1), min_size=1, max_size=20), st.integers(1, 5))
def test_the_mean_of_equal_models_is_the_model(values: list[float], n_models: int) -> None:
    blended = mean_blend(np.tile(values, (n_models, 1)))
    assert blended == pytest.approx(values, abs=1e-12)
    assert ((blended >= 0) & (blended <= 1)).all()
