import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from melanoma.kaggle.job import Job
from melanoma.kaggle.steps import Session, predict_command, submission_command, train_command

FOLDS = Path("working/folds/folds.csv")


@pytest.fixture
def session(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Session:
    """A disk of which nobody else takes anything meanwhile: its budget is part of the command."""
    free = shutil.disk_usage(tmp_path)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: free)
    job = Job(mode="train", run="baseline", config="configs/baseline.yaml", fold="0,2")
    return Session(job, tmp_path, tmp_path, Path("/scratch"), Path("/data"), (), (), 0.0)


def train(session: Session, n_folds: int = 1, config: dict[str, Any] | None = None) -> list[str]:
    return train_command(session, FOLDS, n_folds, 3600, config or {})


def of(session: Session, **changes: Any) -> Session:
    return replace(session, job=replace(session.job, **changes))


def test_training_is_told_where_everything_is_and_how_long_it_may_take(session: Session) -> None:
    command = train(session)
    assert command[0] == "scripts/train_folds.py"
    assert {
        "--config=configs/baseline.yaml",
        "--fold=0,2",
        f"--run_dir={session.working}/runs/baseline",
        "--data.data_dir=/data",
        f"--data.folds_csv={FOLDS}",
        "--time_budget=3600s",
    } <= set(command)
    budget = next(word for word in command if word.startswith("--disk_budget="))
    assert 0 < int(budget.partition("=")[2]) <= 18e9


@pytest.mark.parametrize(
    ("accelerator", "n_folds", "extra"),
    [
        ("cpu", 5, set()),
        ("t4x2", 1, set()),
        ("t4x2", 2, {"--parallel_folds=2"}),
        ("tpu", 5, {"--trainer.accelerator=tpu", "--trainer.devices=8"}),
    ],
)
def test_the_machine_is_used_as_a_whole(
    session: Session, accelerator: str, n_folds: int, extra: set[str]
) -> None:
    usual = set(train(of(session, accelerator="cpu")))
    assert set(train(of(session, accelerator=accelerator), n_folds)) - usual == extra


def test_overrides_have_the_last_word(session: Session) -> None:
    command = train(of(session, overrides=("--trainer.devices", "1"), accelerator="tpu"))
    assert command[-2:] == ["--trainer.devices", "1"]


@pytest.mark.parametrize(
    ("config", "overrides", "moved"),
    [
        ({"model": {"weights": "imagenet"}}, (), []),
        ({"model": {"weights": "a/w.pth"}}, (), ["--model.weights=/scratch/weights/w.pth"]),
        ({"model": {"weights": "a/other.pth"}}, (), []),
        ({}, ("--model.weights=b/w.pth",), ["--model.weights=/scratch/weights/w.pth"]),
        ({"model": {"weights": "a/w.pth"}}, ("--model.weights", "none"), []),
        ({"data": {"cache": "cache"}}, (), ["--data.cache=/scratch/cache"]),
        ({"data": {"cache": None}}, ("--data.cache", "x"), ["--data.cache=/scratch/cache"]),
        ({"data": None}, (), []),
    ],
)
def test_files_and_folders_of_another_machine_are_moved(
    session: Session, config: dict[str, Any], overrides: tuple[str, ...], moved: list[str]
) -> None:
    command = train(of(session, overrides=overrides, weights=("w.pth",)), config=config)
    usual = [*train(session), *overrides]
    assert command == [*usual, *moved]


def test_prediction_uses_the_machine_there_is(session: Session) -> None:
    for accelerator, name in (("cpu", "cpu"), ("t4x2", "gpu"), ("tpu", "tpu")):
        command = predict_command(of(session, accelerator=accelerator), Path("r"), overwrite=False)
        assert f"--accelerator={name}" in command
        assert "--overwrite" not in command
    assert "--overwrite" in predict_command(session, Path("r"), overwrite=True)


def test_a_blend_names_its_runs(session: Session) -> None:
    command = submission_command(
        of(session, method="rank"), [Path("a"), Path("b")], Path("o"), True
    )
    assert command[:4] == ["scripts/build_submission.py", "--run_dir", "a", "b"]
    assert {"--method=rank", "--data_dir=/data", "--out_dir=o"} <= set(command)
    assert command[-1] == "--allow_missing_folds"
    assert "--allow_missing_folds" not in submission_command(session, [], Path("o"), False)
