import os
from collections.abc import Iterable
from pathlib import Path

import pandas as pd
import pytest

from finished_run import finished_run
from melanoma.errors import ConfigError, ImageError, RunError, TableError
from melanoma.folds.creation import create_folds
from melanoma.metrics import auc
from melanoma.prediction.folds import predict_folds
from melanoma.run_folder import RunFolder
from melanoma.run_locks import hold_call
from melanoma.training import launch
from melanoma.training.fold import train_fold
from melanoma.training.launch import train_folds
from melanoma.training.processes import Job, Share
from tiny_run import tiny_config

pytestmark = pytest.mark.usefixtures("warm")


@pytest.fixture
def trained(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Folds 'trained': the processes are replaced, everything around them is real."""
    folds: list[int] = []

    def run_processes(
        jobs: Iterable[Job], _shares: list[Share], _deadline: float | None = None
    ) -> dict[str, int]:
        names = []
        for job in jobs:
            names.append(job.name)
            if job.module == "melanoma.training":
                folds.append(int(job.arguments[-1]))
                done_json = RunFolder(Path(job.arguments[1]).parent).fold(folds[-1]).done_json
                done_json.parent.mkdir(parents=True, exist_ok=True)
                done_json.write_text("{}")
        return dict.fromkeys(names, 0)

    monkeypatch.setattr(launch, "run_processes", run_processes)
    return folds


@pytest.mark.parametrize(
    ("asked", "expected"), [("0", [0]), ("1,0", [1, 0]), ("all", [0, 1]), ("1,1", [1])]
)
def test_the_folds_asked_for_are_trained(
    competition: Path, folds_csv: Path, trained: list[int], asked: str, expected: list[int]
) -> None:
    train_folds(tiny_config(competition, folds_csv, "--fold", asked))
    assert trained == expected


def test_a_finished_fold_is_skipped_until_it_is_to_be_overwritten(
    competition: Path,
    folds_csv: Path,
    trained: list[int],
    capsys: pytest.CaptureFixture[str],
) -> None:
    train_folds(tiny_config(competition, folds_csv, "--fold=0"))
    train_folds(tiny_config(competition, folds_csv, "--fold=all"))
    assert trained == [0, 1]
    assert "fold 0 is finished and skipped; --overwrite repeats it" in capsys.readouterr().out
    train_folds(tiny_config(competition, folds_csv, "--fold=0", "--overwrite"))
    assert trained == [0, 1, 0]


def test_overwriting_one_fold_never_mixes_two_configurations(
    competition: Path, folds_csv: Path, trained: list[int]
) -> None:
    train_folds(tiny_config(competition, folds_csv, "--fold=all"))
    other = ("--model.loss=focal", "--overwrite")
    with pytest.raises(RunError, match=r"another configuration: model.loss was auto, is focal"):
        train_folds(tiny_config(competition, folds_csv, "--fold=0", *other))
    assert RunFolder(tiny_config(competition, folds_csv).run_dir).finished_folds() == [0, 1]
    train_folds(tiny_config(competition, folds_csv, "--fold=all", *other))
    assert trained == [0, 1, 0, 1]


def test_folds_of_two_fold_files_are_never_mixed(
    competition: Path, folds_csv: Path, trained: list[int]
) -> None:
    train_folds(tiny_config(competition, folds_csv, "--fold=0"))
    create_folds(competition, n_folds=3, output=folds_csv)
    with pytest.raises(RunError, match=r"holds a run of other tables: the fold file has changed"):
        train_folds(tiny_config(competition, folds_csv, "--fold=1"))


def test_a_checkpoint_of_other_folds_is_never_resumed(
    competition: Path, folds_csv: Path, trained: list[int]
) -> None:
    config = tiny_config(competition, folds_csv, "--fold=0")
    train_folds(config)
    half_done = RunFolder(config.run_dir).fold(1)
    half_done.path.mkdir()
    half_done.last_checkpoint.write_text("of the old folds")
    create_folds(competition, n_folds=3, output=folds_csv)
    train_folds(tiny_config(competition, folds_csv, "--fold=0", "--overwrite"))
    assert not half_done.last_checkpoint.exists()
    assert trained == [0, 0]


@pytest.mark.parametrize(
    ("asked", "message"),
    [
        ("2", r"--fold 2: .*folds.csv has no fold 2, but 0, 1"),
        ("0,7,8", r"has no fold 7, 8"),
        ("-1", r"has no fold -1"),
        ("first", r"--fold first: not understood. Give a number"),
        ("", r"not understood"),
    ],
)
def test_folds_that_are_not_there_are_named(
    competition: Path, folds_csv: Path, asked: str, message: str
) -> None:
    with pytest.raises(ConfigError, match=message):
        train_folds(tiny_config(competition, folds_csv, f"--fold={asked}"))


def test_everything_is_checked_before_the_first_fold(
    competition: Path, folds_csv: Path, trained: list[int]
) -> None:
    with pytest.raises(
        ConfigError, match=r"model.backbone test_resnot: .* Did you mean test_resnet"
    ):
        train_folds(tiny_config(competition, folds_csv, "--model.backbone=test_resnot"))
    (competition / "jpeg" / "test" / "TEST_003.jpg").write_bytes(b"no photograph")
    with pytest.raises(ImageError, match=r"1 not an image: TEST_003.jpg"):
        train_folds(tiny_config(competition, folds_csv))
    (competition / "train.csv").unlink()
    with pytest.raises(TableError, match=r"train.csv: no such file"):
        train_folds(tiny_config(competition, folds_csv))
    assert not trained
    assert not tiny_config(competition, folds_csv).run_dir.exists()


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        (
            ["--model.optimizer=adamm"],
            ConfigError,
            r"--model.optimizer adamm: .* Did you mean adam",
        ),
        (["--model.schedule=step", "--model.step_epochs=0"], ConfigError, "--model.step_epochs 0"),
        (["--model.weights=w.pth"], ConfigError, r"--model.weights w.pth"),
        (
            ["--data.image_size=30", "--model.backbone=test_vit"],
            ConfigError,
            "--data.image_size 30",
        ),
    ],
)
def test_recipes_that_cannot_work_end_before_training(
    competition: Path,
    folds_csv: Path,
    trained: list[int],
    options: list[str],
    error: type[Exception],
    message: str,
) -> None:
    with pytest.raises(error, match=message):
        train_folds(tiny_config(competition, folds_csv, *options))
    assert not trained


@pytest.mark.parametrize(
    ("column", "value", "options", "message"),
    [
        (
            "diagnosis",
            "wart",
            ["--model.target=diagnosis"],
            r"diagnosis wart \(40\) is not in the map",
        ),
        ("age_approx", "old", ["--model.metadata=true"], r"age_approx: 'old' is not a number"),
    ],
)
def test_columns_that_cannot_be_used_end_before_training(
    competition: Path,
    folds_csv: Path,
    trained: list[int],
    column: str,
    value: str,
    options: list[str],
    message: str,
) -> None:
    table = pd.read_csv(competition / "train.csv").assign(**{column: value})
    table.to_csv(competition / "train.csv", index=False)
    create_folds(competition, n_folds=2, output=folds_csv)
    with pytest.raises(TableError, match=message):
        train_folds(tiny_config(competition, folds_csv, *options))
    assert not trained


def test_a_second_call_for_a_fold_is_refused(
    competition: Path, folds_csv: Path, trained: list[int]
) -> None:
    config = tiny_config(competition, folds_csv, "--fold=all")
    with (
        hold_call(RunFolder(config.run_dir), [1]),
        pytest.raises(RunError, match=r"tiny: fold 1 is being trained by process \d+ on .* since"),
    ):
        train_folds(config)
    assert not trained
    train_folds(config)
    assert trained == [0, 1]
    assert RunFolder(config.run_dir).record_json.is_file()


def test_a_budget_that_is_too_small_ends_before_training(
    competition: Path, folds_csv: Path, trained: list[int]
) -> None:
    with pytest.raises(RunError, match=r"--disk_budget 1.0 kB: .* nothing more can be spared"):
        train_folds(tiny_config(competition, folds_csv, "--disk_budget=1000"))
    with pytest.raises(ConfigError, match=r"--disk_budget much: not understood"):
        tiny_config(competition, folds_csv, "--disk_budget=much")
    assert not trained
    train_folds(tiny_config(competition, folds_csv, "--disk_budget=19.5GB"))
    assert trained == [0]


def test_a_fold_in_its_own_process(competition: Path, folds_csv: Path) -> None:
    (competition / "test.csv").unlink()  # so that nothing is predicted afterwards
    config = tiny_config(competition, folds_csv, "--fold=1", "--trainer.max_epochs=1")
    train_folds(config)
    run = RunFolder(config.run_dir)
    assert run.finished_folds() == [1]
    assert pd.read_csv(run.fold(1).oof_csv)["fold"].eq(1).all()


def test_several_devices_judge_the_whole_fold_and_predict_every_image_once(
    competition: Path, folds_csv: Path
) -> None:
    # 19 validation images on two devices: one is evaluated twice, and must count once.
    options = ("--trainer.devices=2", "--trainer.strategy=ddp", "--data.batch_size=2")
    config = tiny_config(competition, folds_csv, "--trainer.max_epochs=1", *options)
    train_folds(config)
    run = RunFolder(config.run_dir)
    oof = pd.read_csv(run.fold(0).oof_csv)
    folds = pd.read_csv(folds_csv)
    assert oof["image_name"].tolist() == folds.loc[folds["fold"] == 0, "image_name"].tolist()
    assert len(oof) % 2 == 1
    assert len(pd.read_csv(run.fold(0).test_csv)) == 10
    assert "test.csv" in run.fold(0).read_done()["files"]
    during = pd.read_csv(run.fold(0).metrics_csv)["val_auc"].item()
    assert during == pytest.approx(auc(oof["target"], oof["prediction"]), abs=1e-6)


def test_the_process_of_a_fold_that_fails_is_told(
    competition: Path, folds_csv: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    config = tiny_config(competition, folds_csv, "--model.learning_rate=1e30")
    with pytest.raises(RunError, match=r"fold 0 stopped with exit code 2; the reason is above"):
        train_folds(config)
    assert "fold 0: the loss is not a number from step 2 of epoch 1 on" in capfd.readouterr().err


def test_folds_side_by_side_leave_what_folds_one_by_one_do(
    competition: Path, folds_csv: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if (os.cpu_count() or 1) < 2:
        pytest.skip("needs two cores")
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    options = ("--trainer.max_epochs=1", "--fold=all")
    config = tiny_config(competition, folds_csv, *options, "--parallel_folds=2")
    train_folds(config)
    side_by_side = _tables_of(RunFolder(config.run_dir))
    for fold in (0, 1):
        RunFolder(config.run_dir).fold(fold).clear()
        train_fold(tiny_config(competition, folds_csv, *options), fold)
    predict_folds(config.run_dir)
    assert _tables_of(RunFolder(config.run_dir)) == side_by_side


def _tables_of(run: RunFolder) -> list[bytes]:
    folders = [run.fold(0), run.fold(1)]
    paths = [path for f in folders for path in (f.metrics_csv, f.oof_csv, f.test_csv)]
    return [path.read_bytes() for path in paths]


@pytest.fixture
def codes(monkeypatch: pytest.MonkeyPatch) -> dict[str, int]:
    """The exit codes of the processes, which are replaced."""
    codes: dict[str, int] = {}

    def run_processes(
        jobs: Iterable[Job], _shares: list[Share], _deadline: float | None = None
    ) -> dict[str, int]:
        return {job.name: codes.get(job.name, 0) for job in jobs}

    monkeypatch.setattr(launch, "run_processes", run_processes)
    return codes


def test_all_folds_that_fail_are_named(
    competition: Path, folds_csv: Path, codes: dict[str, int]
) -> None:
    codes.update({"fold 0": 2, "fold 1": -9})
    message = r"fold 0 stopped with exit code 2, fold 1 was ended by SIGKILL \(if nobody .*\); the"
    with pytest.raises(RunError, match=message):
        train_folds(tiny_config(competition, folds_csv, "--fold=all"))


def test_finished_folds_without_test_predictions_are_only_predicted(
    competition: Path,
    folds_csv: Path,
    codes: dict[str, int],
    capsys: pytest.CaptureFixture[str],
) -> None:
    config = tiny_config(competition, folds_csv, "--fold=all")
    train_folds(config)  # as a trial run: it leaves no finished fold, and nothing is predicted
    finished_run(config)
    codes["the prediction of the test set"] = 1
    with pytest.raises(
        RunError,
        match=r"the prediction of the test set stopped with exit code 1.* scripts/predict_folds.py",
    ):
        train_folds(config)
    assert "fold 0 is finished and skipped" in capsys.readouterr().out
    predict_folds(config.run_dir)
    train_folds(config)
    (competition / "test.csv").unlink()
    RunFolder(config.run_dir).fold(0).test_csv.unlink()
    train_folds(config)


def test_a_trial_run_leaves_nothing_in_the_run_folder(
    competition: Path, folds_csv: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    trial = tiny_config(competition, folds_csv, "--fold=all", "--trainer.fast_dev_run=true")
    assert train_folds(trial) is None
    assert not trial.run_dir.exists()
    assert "a trial run: nothing of it is kept" in capfd.readouterr().out
    # Nor does it meet what is there, of whatever configuration.
    whole = tiny_config(competition, folds_csv, "--trainer.max_epochs=1")
    assert train_folds(whole) == whole.run_dir
    before = {path: path.read_bytes() for path in whole.run_dir.rglob("*") if path.is_file()}
    assert train_folds(trial) is None
    assert {p: p.read_bytes() for p in whole.run_dir.rglob("*") if p.is_file()} == before


def test_going_on_is_promised_where_there_is_something_to_go_on_from(
    competition: Path, folds_csv: Path, tmp_path: Path
) -> None:
    for name, begun in (("new", False), ("begun", True)):
        options = ["--model.learning_rate=1e30", f"--run_dir={tmp_path / name}"]
        config = tiny_config(competition, folds_csv, *options)
        if begun:
            RunFolder(config.run_dir).fold(1).path.mkdir(parents=True)
            RunFolder(config.run_dir).fold(1).last_checkpoint.touch()
        with pytest.raises(RunError, match=r"the reason is above") as raised:
            train_folds(config)
        assert ("the same command goes on" in str(raised.value)) is begun
