"""No fold starts from weights that know what it validates, nor trains on whom it validates, unsaid."""

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch

from melanoma.errors import ConfigError
from melanoma.folds.leaks import leaking_patients
from melanoma.identifiers import hash_forms, normal_form
from melanoma.models.weights import images_of_checkpoint
from melanoma.run_folder import RunFolder
from melanoma.run_tables import hash_tables
from melanoma.tables import FOLD, IMAGE_NAME, PATIENT_ID, TARGET
from melanoma.training.fold import train_fold
from melanoma.training.inputs import check_inputs, tables_of
from melanoma.training.launch import train_folds
from melanoma.training.warm_start import check_warm_start
from tiny_run import tiny_config

TOLD = r"was trained on images that fold .* validates here.*Take weights of other images"
OLD_KEYS = ("MelanomaDataModule", "pretrained_on")


@pytest.fixture
def data(competition: Path, folds_csv: Path) -> dict[str, Any]:
    return tiny_config(competition, folds_csv).data


def check(weights: Path | str, data: dict[str, Any], folds: list[int]) -> str | None:
    folder, folds_csv = Path(data["data_dir"]), Path(data["folds_csv"])
    column = f"--data.fold_column={data['fold_column']}"
    tables = hash_tables(tables_of(tiny_config(folder, folds_csv, column)))
    return check_warm_start(str(weights), data, tables, folds)


def checkpoint(path: Path, images: list[str]) -> Path:
    """A file of weights that says what it has seen."""
    path.parent.mkdir(parents=True, exist_ok=True)
    seen = torch.from_numpy(hash_forms(normal_form(pd.Series(images))))
    torch.save({"state_dict": {}, "MelanomaDataModule": {"trained_on": seen}}, path)
    return path


def trained(competition: Path, folds_csv: Path, *more: str) -> Path:
    """The best checkpoint of fold 1."""
    config = tiny_config(competition, folds_csv, "--trainer.max_epochs=1", *more)
    train_fold(config, 1)
    return RunFolder(config.run_dir).fold(1).best_checkpoint


def older(path: Path) -> Path:
    """A checkpoint as it was before it told what it has seen."""
    content = torch.load(path, weights_only=True)
    torch.save({key: content[key] for key in content if key not in OLD_KEYS}, path)
    return path


def run_of(path: Path, data: dict[str, Any], **changed: Any) -> Path:
    """Weights that do not tell, in the folder of fold 1 of a run that was made from these tables."""
    weights = path / "runs" / "before" / "fold_1" / "best.ckpt"
    weights.parent.mkdir(parents=True)
    column = f"--data.fold_column={data['fold_column']}"
    config = tiny_config(Path(data["data_dir"]), Path(data["folds_csv"]), column)
    tables = hash_tables(tables_of(config)) | changed.pop("tables", {})
    (weights.parents[1] / "tables.json").write_text(json.dumps(tables))
    settings = {k: data[k] for k in ("data_dir", "folds_csv", "fold_column")} | changed
    (weights.parents[1] / "config.yaml").write_text(json.dumps({"data": settings}))
    torch.save({"state_dict": {}}, weights)
    return weights


def test_a_checkpoint_says_what_it_has_seen(competition: Path, folds_csv: Path) -> None:
    folds = pd.read_csv(folds_csv, dtype=str)
    first = trained(competition, folds_csv)
    others = folds.loc[folds[FOLD] != "1", IMAGE_NAME]
    assert images_of_checkpoint(str(first)).tolist() == sorted(hash_forms(others).tolist())  # type: ignore[union-attr]
    # What the weights that it starts from have seen is said further on, and after a resume.
    content = torch.load(first, weights_only=True)
    stranger = hash_forms(["of another year"])
    content["MelanomaDataModule"]["trained_on"] = torch.from_numpy(stranger)
    torch.save(content, competition.parent / "w.ckpt")
    again = (
        "--run_dir=" + str(competition.parent / "again"),
        f"--model.weights={competition.parent / 'w.ckpt'}",
    )
    for epochs in (1, 2):
        best = trained(competition, folds_csv, *again, f"--trainer.max_epochs={epochs}")
        for path in (best, best.with_name("last.ckpt")):
            seen = images_of_checkpoint(str(path))
            assert seen is not None
            assert seen.tolist() == sorted([*hash_forms(others), *stranger])


def test_wherever_it_lies_and_whatever_its_tables_were_called(
    competition: Path, folds_csv: Path, data: dict[str, Any], tmp_path: Path
) -> None:
    weights = trained(competition, folds_csv)
    elsewhere = shutil.copy(weights, tmp_path / "w.ckpt")
    folds_csv.with_suffix(".json").unlink()
    train = pd.read_csv(competition / "train.csv", dtype=str)
    train.assign(pixels="64").to_csv(competition / "train.csv", index=False)
    for place in (weights, elsewhere):
        assert check(place, data, [1]) is None
        with pytest.raises(ConfigError, match=r"that fold 0 validates here \(TRAIN_.*in all\)"):
            check(place, data, [0, 1])


def test_the_form_of_a_name_counts(data: dict[str, Any], tmp_path: Path) -> None:
    folds = pd.read_csv(data["folds_csv"], dtype=str)
    validated = folds.loc[folds[FOLD] == "0", IMAGE_NAME].iloc[0]
    with pytest.raises(ConfigError, match=TOLD):
        check(checkpoint(tmp_path / "a.ckpt", [f" {validated} "]), data, [0])
    assert check(checkpoint(tmp_path / "a.ckpt", [f" {validated} "]), data, [1]) is None


@pytest.mark.parametrize("n_folds", [2, 3, 5])
def test_one_image_is_enough(n_folds: int, tmp_path: Path, data: dict[str, Any]) -> None:
    rng = np.random.default_rng(n_folds)
    folds = pd.read_csv(data["folds_csv"], dtype=str)
    names, target = folds[IMAGE_NAME], pd.read_csv(Path(data["data_dir"]) / "train.csv")[TARGET]
    number = target.groupby(target).cumcount() % n_folds
    csv = tmp_path / "made_elsewhere.csv"
    pd.DataFrame({IMAGE_NAME: names, FOLD: number}).to_csv(csv, index=False)
    for _ in range(10):
        seen = rng.choice(len(names), size=rng.integers(0, 4), replace=False)
        weights = checkpoint(tmp_path / "w.ckpt", [*names[seen], "of another table"])
        asked = sorted(rng.choice(n_folds, size=rng.integers(1, n_folds + 1), replace=False))
        told = sorted(set(number[seen]) & set(asked))
        if told:
            with pytest.raises(ConfigError, match=rf"fold {', '.join(map(str, told))} validates"):
                check(weights, {**data, "folds_csv": str(csv)}, asked)
        else:
            assert check(weights, {**data, "folds_csv": str(csv)}, asked) is None


def test_an_older_checkpoint_is_known_by_the_tables_of_its_run(
    data: dict[str, Any], tmp_path: Path
) -> None:
    weights = run_of(tmp_path, data)
    top = weights.parent / "top" / "epoch.ckpt"
    top.parent.mkdir()
    shutil.copy(weights, top)
    for place in (weights, top):
        assert check(place, data, [1]) is None
        with pytest.raises(ConfigError, match=TOLD):
            check(place, data, [0])


def test_also_where_this_run_has_other_tables(data: dict[str, Any], tmp_path: Path) -> None:
    weights = run_of(tmp_path, data)
    resized = tmp_path / "resized"
    shutil.copytree(data["data_dir"], resized)
    train = pd.read_csv(resized / "train.csv", dtype=str).assign(pixels="16")
    train.to_csv(resized / "train.csv", index=False)
    folds_csv = tmp_path / "elsewhere.csv"
    pd.read_csv(data["folds_csv"], dtype=str).to_csv(folds_csv, index=False)
    here = {**data, "data_dir": str(resized), "folds_csv": str(folds_csv)}
    assert check(weights, here, [1]) is None
    with pytest.raises(ConfigError, match=TOLD):
        check(weights, here, [0])


def test_and_where_its_own_have_been_moved(data: dict[str, Any], tmp_path: Path) -> None:
    weights = run_of(tmp_path, data, data_dir="gone", folds_csv="gone.csv")
    assert check(weights, data, [1]) is None
    with pytest.raises(ConfigError, match=TOLD):
        check(weights, data, [0])


@pytest.mark.parametrize("table", ["train.csv", "the external table"])
def test_no_fold_may_start_from_unknown_folds_of_the_same_images(
    data: dict[str, Any], tmp_path: Path, table: str
) -> None:
    sha256 = hash_tables(tables_of(tiny_config(Path(data["data_dir"]), Path(data["folds_csv"]))))
    changed = {"train.csv": "other", "the fold file": "other", table: sha256["train.csv"]}
    with pytest.raises(ConfigError, match=r"that fold 0, 1 validates"):
        check(run_of(tmp_path, data, tables=changed), data, [0, 1])


def test_another_column_of_the_fold_file_is_another_split(
    data: dict[str, Any], tmp_path: Path
) -> None:
    folds = pd.read_csv(data["folds_csv"])
    folds.assign(fold_1=1 - folds[FOLD]).to_csv(data["folds_csv"], index=False)
    weights = run_of(tmp_path, {**data, "fold_column": "fold_1"})
    assert check(weights, data, [0]) is None
    with pytest.raises(ConfigError, match=TOLD):
        check(weights, data, [1])


@pytest.mark.parametrize("weights", ["none", "imagenet"])
def test_other_weights_are_left_alone(weights: str, data: dict[str, Any]) -> None:
    assert check(weights, data, [0, 1]) is None


def test_what_does_not_tell_is_told(
    competition: Path,
    folds_csv: Path,
    data: dict[str, Any],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    of_others = run_of(tmp_path, data, tables={"train.csv": "other", "the fold file": "other"})
    assert "which images it was trained on" in str(check(of_others, data, [0, 1]))
    weights = older(trained(competition, folds_csv))
    foreign = Path(shutil.copy(weights, tmp_path / "foreign.ckpt"))
    config = tiny_config(competition, folds_csv, f"--model.weights={foreign}")
    check_inputs(config, [0, 1])
    assert f"warning: --model.weights {foreign}: it does not say" in capsys.readouterr().out


def test_it_is_told_before_anything_is_trained(competition: Path, folds_csv: Path) -> None:
    names = pd.read_csv(folds_csv, dtype=str).query("fold == '0'")[IMAGE_NAME].tolist()
    weights = checkpoint(competition.parent / "w.ckpt", names)
    config = tiny_config(competition, folds_csv, "--fold=all", f"--model.weights={weights}")
    with pytest.raises(ConfigError, match=r"fold 0 validates here"):
        train_folds(config)
    assert not config.run_dir.exists()


def leaking_csv(competition: Path, folds_csv: Path) -> list[str]:
    """A fold file made elsewhere, by image: the patients whom both folds have."""
    train = pd.read_csv(competition / "train.csv", dtype=str)
    fold = train.groupby(TARGET).cumcount() % 2
    folds_csv.with_suffix(".json").unlink()
    train[[IMAGE_NAME]].assign(by_image=fold).to_csv(folds_csv, index=False)
    return sorted(
        train[PATIENT_ID][fold.groupby(train[PATIENT_ID]).transform("nunique") > 1].unique()
    )


def test_folds_that_leak_are_refused_unless_asked_for(
    competition: Path, folds_csv: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    split = leaking_csv(competition, folds_csv)
    options = ("--fold=1", "--data.fold_column=by_image", "--trainer.max_epochs=1")
    said = rf"{split[0]}.*which flatters the score"
    refused = tiny_config(competition, folds_csv, *options)
    with pytest.raises(ConfigError, match=rf"{said}.*--allow-leaks"):
        train_folds(refused)
    assert not refused.run_dir.exists()
    config = tiny_config(competition, folds_csv, *options, "--allow_leaks")
    check_inputs(config, [1])
    assert "by_image: a leak: fold 1 validates patients" in capsys.readouterr().out
    assert "allow_leaks" not in config.resolved  # it changes nothing of the run
    train_fold(config, 1)
    done = json.loads(RunFolder(config.run_dir).fold(1).done_json.read_text())
    assert done["leaking_patients"] == len(split) > 0


def test_sound_folds_leak_nobody(competition: Path, folds_csv: Path) -> None:
    data = tiny_config(competition, folds_csv).data_module(0)
    assert data.leaking_patients == {0: [], 1: []}


def test_patients_of_other_years_leak_too() -> None:
    train = pd.DataFrame(
        {IMAGE_NAME: list("abcd"), PATIENT_ID: ["p", "q", "r", None], FOLD: [0, 0, 1, 1]}
    )
    external = pd.DataFrame(
        {IMAGE_NAME: list("efg"), PATIENT_ID: ["p ", "r", "q"], "excluded": [-1, 1, 1]}
    )
    assert leaking_patients(train, None) == {0: [], 1: []}
    assert leaking_patients(train, external) == {0: ["p", "q"], 1: []}
