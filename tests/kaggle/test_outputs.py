import json
import os
import shutil
from pathlib import Path

import pytest

from melanoma.errors import MelanomaError, RunError
from melanoma.files import write_json, write_text
from melanoma.kaggle.job import project_root
from melanoma.kaggle.outputs import take_run
from melanoma.kaggle.recipe import resolve_recipe
from melanoma.remote.address import address_of
from melanoma.run_folder import RunFolder
from melanoma.run_locks import hold_folds
from melanoma.verification.runs import verify_run
from whole_run import whole_run

pytestmark = pytest.mark.usefixtures("warm")

CPU_SMALL = str(project_root() / "configs" / "cpu_small.yaml")


def with_fold(source: Path, place: Path, *folds: int) -> Path:
    """A kernel's output that holds some folds of a run."""
    taken = take_run([source], place, folds=folds)
    return taken.path


def begun(source: Path, place: Path, epochs: int, state: str) -> Path:
    run = take_run([source], place, folds=[])
    fold = run.fold(0)
    write_text(fold.last_checkpoint, state)
    write_text(fold.metrics_csv, "epoch,val_auc\n" + "0,0.5\n" * epochs)
    return run.path


@pytest.fixture
def run_dir(competition: Path, folds_csv: Path) -> Path:
    return whole_run(competition, folds_csv)


def test_parts_make_a_whole_run_at_home(
    run_dir: Path, competition: Path, folds_csv: Path, tmp_path: Path
) -> None:
    config = RunFolder(run_dir).read_config()
    data = {**config["data"], "data_dir": "/kaggle/input/x", "folds_csv": "/kaggle/working/f.csv"}
    write_text(run_dir / "config.yaml", json.dumps({**config, "data": data}))
    parts = [with_fold(run_dir, tmp_path / f"part{fold}", fold) for fold in (0, 1)]
    taken = take_run(parts, tmp_path / "runs" / "home", competition, folds_csv)
    assert taken.finished_folds() == [0, 1]
    assert taken.read_config()["data"]["data_dir"] == str(competition)
    assert taken.read_config()["run_dir"] == str(taken.path)
    assert verify_run(taken.path).is_fine
    again = take_run(parts, taken.path)  # what is at home stays
    assert again.read_config()["data"]["folds_csv"] == str(folds_csv)


def test_data_behind_an_address_are_still_found_at_home(
    run_dir: Path,
    competition: Path,
    folds_csv: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    data_dir = f"file://{competition}"
    overrides = ["--data.data_dir", data_dir, "--data.folds_csv", str(folds_csv)]
    recipe = resolve_recipe(CPU_SMALL, overrides, "0")
    taken = take_run([run_dir], tmp_path / "runs" / "home", recipe.data_dir, recipe.folds_csv)
    assert address_of(taken.read_config()["data"]["data_dir"]) == data_dir
    assert verify_run(taken.path).is_fine


def test_what_is_read_only_gets_a_writable_copy(run_dir: Path, tmp_path: Path) -> None:
    for path in [run_dir, *run_dir.rglob("*")]:
        path.chmod(0o555 if path.is_dir() else 0o444)
    try:
        taken = take_run([run_dir], tmp_path / "runs" / "home")
    finally:
        for path in [run_dir, *run_dir.rglob("*")]:
            path.chmod(0o755)
    for path in [taken.path, *taken.path.rglob("*")]:
        assert os.stat(path).st_mode & 0o200, path


def test_half_written_files_blends_and_locks_are_left_behind(run_dir: Path, tmp_path: Path) -> None:
    for name in ("fold_0/.last.17.ckpt", ".locks/fold_0.lock", "submission.csv"):
        write_text(run_dir / name, "x")
    taken = take_run([run_dir], tmp_path / "runs" / "home")
    left = {str(path.relative_to(taken.path)) for path in taken.path.rglob("*") if path.is_file()}
    assert not {name for name in left if "17" in name or name == "submission.csv"}


def test_networks_can_be_left_behind(run_dir: Path, tmp_path: Path) -> None:
    write_text(run_dir / "fold_0" / "top" / "one.ckpt", "x")
    taken = take_run([run_dir], tmp_path / "home", checkpoints=False)
    assert taken.finished_folds() == [0, 1]
    assert not list(taken.path.rglob("*.ckpt"))
    assert taken.fold(0).is_predicted
    assert verify_run(taken.path).is_fine
    # Where they are they stay, and where they come from again they are taken.
    assert take_run([taken.path], run_dir).fold(0).last_checkpoint.is_file()
    assert take_run([run_dir], taken.path).fold(0).last_checkpoint.is_file()


def test_the_copy_that_is_furthest_is_taken(run_dir: Path, tmp_path: Path) -> None:
    behind = begun(run_dir, tmp_path / "behind", 1, "one epoch")
    further = begun(run_dir, tmp_path / "further", 3, "three epochs")
    home = tmp_path / "home"
    assert take_run([behind], home).fold(0).last_checkpoint.read_text() == "one epoch"
    for sources in ([further], [behind], [behind, further]):
        assert take_run(sources, home).fold(0).last_checkpoint.read_text() == "three epochs"
    unpredicted = with_fold(run_dir, tmp_path / "unpredicted", 0)
    done = RunFolder(unpredicted).fold(0).read_done()
    del done["files"]["test.csv"]
    write_json(RunFolder(unpredicted).fold(0).done_json, done)
    RunFolder(unpredicted).fold(0).test_csv.unlink()
    assert not take_run([unpredicted, further], home).fold(0).is_predicted
    assert take_run([unpredicted, run_dir], home).fold(0).is_predicted
    assert take_run([unpredicted, behind], home).fold(0).is_predicted
    assert not list(home.glob(".*taking"))


def test_two_that_are_as_far_and_differ_are_refused(run_dir: Path, tmp_path: Path) -> None:
    other = with_fold(run_dir, tmp_path / "other", 0)
    done = RunFolder(other).fold(0).read_done()
    write_json(other / "fold_0" / "done.json", {**done, "files": {**done["files"], "oof.csv": "0"}})
    with pytest.raises(RunError, match=r"hold fold 0 of the same run with different content"):
        take_run([run_dir, other], tmp_path / "home")
    with pytest.raises(RunError, match=r"fold_0 hold fold 0 .* Leave one of them out"):
        take_run([other], run_dir)
    one, two = (begun(run_dir, tmp_path / state, 2, state) for state in ("one", "two"))
    with pytest.raises(RunError, match=r"hold fold 0 of the same run with different content"):
        take_run([one, two], tmp_path / "home")
    assert not (tmp_path / "home").exists()


def test_parts_of_different_runs_are_refused(run_dir: Path, tmp_path: Path) -> None:
    other = with_fold(run_dir, tmp_path / "other", 1)
    config = RunFolder(other).read_config()
    write_text(other / "config.yaml", json.dumps({**config, "seed": 7}))
    with pytest.raises(
        RunError, match=r"not of the same run: seed was 1, is 7. Take them over one"
    ):
        take_run([run_dir, other], tmp_path / "home")
    write_text(other / "config.yaml", json.dumps(config))
    write_json(other / "tables.json", {"train.csv": "0", "the fold file": "1"})
    with pytest.raises(RunError, match=r"not of the same run: train.csv, the fold file"):
        take_run([run_dir, other], tmp_path / "home")
    with pytest.raises(RunError, match=r"no run to take over"):
        take_run([], tmp_path / "home")
    with pytest.raises(RunError, match=r"no run folder, it has no config.yaml"):
        take_run([tmp_path], tmp_path / "home")


def test_machines_of_all_parts_are_recorded(run_dir: Path, tmp_path: Path) -> None:
    parts = [with_fold(run_dir, tmp_path / f"part{fold}", fold) for fold in (0, 1)]
    for part, names in zip(parts, (["a", "b"], ["b", "c"])):
        write_json(part / "run.json", {"seed": 1, "environments": names})
    record = json.loads(take_run(parts, tmp_path / "home").record_json.read_text())
    assert record == {"seed": 1, "environments": ["a", "b", "c"]}


def test_an_interruption_loses_nothing(
    run_dir: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    home = begun(run_dir, tmp_path / "home", 1, "one epoch")
    before = shutil.copyfile

    def cut_off(source: Path, copy: Path) -> Path:
        if copy.name == "oof.csv":
            raise KeyboardInterrupt
        return Path(before(source, copy))

    monkeypatch.setattr(shutil, "copyfile", cut_off)
    with pytest.raises(KeyboardInterrupt):
        take_run([run_dir], home)
    assert RunFolder(home).fold(0).last_checkpoint.read_text() == "one epoch"
    monkeypatch.undo()
    # Killed between two renamings: the earlier one is found again.
    (home / ".fold_0.taking").rename(home / "x")
    (home / ".fold_0.taking").mkdir()
    (home / "fold_0").rename(home / ".fold_0.taking" / "earlier")
    monkeypatch.setattr(shutil, "copyfile", cut_off)
    with pytest.raises(KeyboardInterrupt):
        take_run([run_dir], home)
    assert RunFolder(home).fold(0).last_checkpoint.read_text() == "one epoch"
    monkeypatch.undo()
    assert take_run([run_dir], home).finished_folds() == [0, 1]


def test_a_fold_that_is_written_to_is_left_alone(run_dir: Path, tmp_path: Path) -> None:
    home = begun(run_dir, tmp_path / "home", 1, "one epoch")
    with (
        hold_folds(RunFolder(home), [0], "trained"),
        pytest.raises(RunError, match=r"fold 0 is being trained by process"),
    ):
        take_run([run_dir], home)


def test_a_folder_that_cannot_be_written_is_named(run_dir: Path, tmp_path: Path) -> None:
    (tmp_path / "home").write_text("a file")
    with pytest.raises(MelanomaError, match=r"home"):
        take_run([run_dir], tmp_path / "home")
