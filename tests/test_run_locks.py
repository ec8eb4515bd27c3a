import os
import threading
from pathlib import Path

import pytest

from melanoma.errors import RunError
from melanoma.run_folder import RunFolder
from melanoma.run_locks import hold_call, hold_folds


@pytest.fixture
def run(tmp_path: Path) -> RunFolder:
    run = RunFolder(tmp_path / "run")
    run.fold(0).path.mkdir(parents=True)
    return run


def test_one_process_at_a_time_writes_into_a_fold(run: RunFolder) -> None:
    message = rf"fold 0 is being trained by process {os.getpid()} on"
    with hold_folds(run, [0], "trained"):
        with hold_folds(run, [1], "predicted"):
            pass
        with pytest.raises(RunError, match=message), hold_folds(run, [1, 0], "predicted"):
            pass
        with pytest.raises(RunError, match=message):
            run.fold(0).clear()
    with hold_folds(run, [0, 1], "predicted"):
        pass
    run.fold(0).clear()


def test_a_process_may_wait_for_one_that_is_about_to_end(run: RunFolder) -> None:
    held = hold_folds(run, [0], "trained")
    held.__enter__()
    leaving = threading.Timer(0.2, held.__exit__, (None, None, None))
    leaving.start()
    with hold_folds(run, [0], "trained", wait_s=30):
        leaving.join()


def test_a_call_does_not_keep_its_own_processes_out(run: RunFolder) -> None:
    with hold_call(run, [0]), hold_folds(run, [0], "trained"):
        with pytest.raises(RunError, match="fold 0 is being trained"), hold_call(run, [1, 0]):
            pass
        with hold_call(run, [1]):
            pass


def test_further_devices_take_no_lock(run: RunFolder, monkeypatch: pytest.MonkeyPatch) -> None:
    with hold_folds(run, [0], "trained"):
        monkeypatch.setenv("LOCAL_RANK", "1")
        with hold_folds(run, [0], "trained"):
            pass


def test_what_killed_processes_have_left_is_removed(run: RunFolder) -> None:
    (run.fold(0).path / "top").mkdir()
    leftovers = [run.fold(0).path / name for name in (".last.5.ckpt", "top/.a.b.7.ckpt")]
    others = [run.fold(0).path / name for name in ("last.ckpt", ".hidden", "top/a.ckpt")]
    gone, at_work = run.path / ".oof.999999999.csv", run.path / f".oof.{os.getpid()}.csv"
    for path in [*leftovers, *others, gone, at_work]:
        path.touch()
    with hold_call(run, [0]), hold_folds(run, [0], "trained"):
        assert not any(path.exists() for path in [*leftovers, gone])
        assert all(path.exists() for path in [*others, at_work])
