import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from types import SimpleNamespace

import pytest

from melanoma.errors import RunError
from melanoma.run_folder import FoldFolder, RunFolder
from melanoma.training.cluster import node
from melanoma.training.cluster.node import Travel, Work, run_work, train
from melanoma.training.cluster.storage import FoldStore
from melanoma.training.processes import STOPPED, Job

Said = list[tuple[bool, str]]


def statement(text: str, folder: FoldFolder | None = None) -> Job:
    return Job("fold 0", "timeit", ["-n1", "-r1", text], folder=folder)  # which runs it once


def run(work: Work) -> tuple[int, Said]:
    said: Said = []
    code = run_work(work, lambda is_error, line: said.append((is_error, line)))
    return code, said


def test_a_task_waits_for_no_answer_before_its_fold_has_ended(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    did: list[str] = []

    def remote(name: str) -> SimpleNamespace:
        return SimpleNamespace(remote=lambda *_: did.append(name))

    def run_fold(*_: object) -> int:
        did.append("fold")
        return 0

    ray = SimpleNamespace(
        get=lambda *_, **__: did.append("get"), exceptions=SimpleNamespace(RayError=OSError)
    )
    monkeypatch.setitem(sys.modules, "ray", ray)
    monkeypatch.setattr(node, "run_work", run_fold)
    lines = SimpleNamespace(begin=remote("begin"), fence=remote("fence"))
    assert train(Work(statement("pass"), {}, tmp_path), lines, "") == 0
    # Ray gives the cores of a task that waits to another, and the two share them from then on:
    # https://docs.ray.io/en/latest/ray-core/tasks/nested-tasks.html, "Yielding Resources".
    assert did == ["begin", "fold", "fence", "get"]


def test_lines_environment_and_exit_code_come_back(tmp_path: Path) -> None:
    text = (
        "import os, sys; print(os.environ['OMP_NUM_THREADS'], os.getcwd()); "
        "print('wrong', file=sys.stderr, flush=True); sys.stdout.flush(); os._exit(3)"
    )
    code, said = run(Work(statement(text), {"OMP_NUM_THREADS": "7"}, tmp_path))
    assert code == 3
    assert sorted(said) == [(False, f"7 {tmp_path}"), (True, "wrong")]


def test_a_folder_that_is_not_there_is_no_obstacle(tmp_path: Path) -> None:
    assert run(Work(statement("pass"), {}, tmp_path / "elsewhere"))[0] == 0


def test_the_time_that_is_left_is_counted_here(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[float] = []

    def start(job: Job, *_: object) -> subprocess.Popen[bytes]:
        assert job.deadline is not None
        seen.append(job.deadline - time.monotonic())
        return subprocess.Popen(
            ["/bin/true"], stdout=subprocess.PIPE, stderr=subprocess.PIPE, process_group=0
        )

    monkeypatch.setattr(node, "start_process", start)
    assert run(Work(statement("pass"), {}, tmp_path, ends_at=time.time() + 50))[0] == 0
    assert 0 < seen[0] <= 50


def test_a_task_that_is_stopped_lets_the_process_end_by_itself(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ready = tmp_path / "ready"
    text = (
        "import os, signal, time; signal.signal(signal.SIGTERM, lambda *_: os._exit(75)); "
        f"open({str(ready)!r}, 'w'); time.sleep(60)"
    )

    sleep = time.sleep
    interrupted: list[bool] = []

    def interrupt(_seconds: float) -> None:
        if ready.exists() and not interrupted:
            interrupted.append(True)
            raise KeyboardInterrupt
        sleep(0.02)

    monkeypatch.setattr("melanoma.training.cluster.node.time.sleep", interrupt)
    # However long the machine takes: the process is asked to end, and does.
    monkeypatch.setattr("melanoma.training.processes._GRACE_S", 3600.0)
    assert run(Work(statement(text), {}, tmp_path))[0] == STOPPED


@pytest.fixture
def travel(tmp_path: Path) -> Travel:
    store = FoldStore(f"file://{tmp_path}/storage/run/fold_0", "run")
    return Travel(store, "seed: 1\n", ["--data.data_dir=/data"], every_s=0.0)


def fold_job(tmp_path: Path) -> Job:
    """Its arguments are as `jobs.job_of` makes them."""
    arguments = ["--config", "home/config.yaml", "--resume=true", "--fold", "0"]
    return Job("fold 0", "fold", arguments, folder=RunFolder(tmp_path / "home").fold(0))


# A fold's process that counts how often it was started, and fails the first time.
PROCESS = """
import pathlib, sys
run = pathlib.Path(next(a for a in sys.argv if a.startswith("--run_dir=")).partition("=")[2])
assert pathlib.Path(sys.argv[2]).read_text() == "seed: 1\\n" and "--data.data_dir=/data" in sys.argv
last = run / "fold_0" / "last.ckpt"
last.parent.mkdir(exist_ok=True)
before = last.read_text() if last.exists() else ""
last.write_text(before + "x")
print(before, flush=True)
sys.exit(0 if before else 4)
"""


def test_a_fold_travels_to_where_it_goes_on(
    tmp_path: Path, travel: Travel, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "fold.py").write_text(PROCESS)
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "scratch"))
    (tmp_path / "scratch").mkdir()
    work = Work(fold_job(tmp_path), {}, tmp_path, travel=travel)
    assert run(work) == (4, [(False, "")])
    assert run(work) == (0, [(False, "x")])
    assert not list((tmp_path / "scratch").iterdir())
    home = RunFolder(tmp_path / "home").fold(0)
    assert travel.store.pull(home)
    assert home.last_checkpoint.read_text() == "xx"


def test_a_fold_is_kept_while_it_is_trained(tmp_path: Path, travel: Travel) -> None:
    folder = RunFolder(tmp_path / "there").fold(0)
    said: list[str] = []
    keep = node._Keeper(travel, folder, lambda _, line: said.append(line))
    keep()
    assert not travel.store.read()
    folder.path.mkdir(parents=True)
    folder.last_checkpoint.write_text("x")
    keep()
    assert list(travel.store.read()) == ["last.ckpt"]
    travel.store.clear()
    keep()  # nothing has changed
    assert not travel.store.read()
    assert not said


def test_a_storage_that_fails_for_a_moment_costs_no_training(
    tmp_path: Path, travel: Travel, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = RunFolder(tmp_path / "there").fold(0)
    said: list[str] = []
    keep = node._Keeper(travel, folder, lambda _, line: said.append(line))
    folder.path.mkdir(parents=True)
    folder.last_checkpoint.write_text("x")

    def fail(*_: object) -> None:
        raise RunError("--ray_storage: no network")

    with monkeypatch.context() as broken:
        broken.setattr(FoldStore, "push", fail)
        keep()
    assert said == ["warning: --ray_storage: no network"]
    keep()
    assert list(travel.store.read()) == ["last.ckpt"]


def test_a_storage_that_fails_is_one_message(
    tmp_path: Path, travel: Travel, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> None:
        raise RunError("--ray_storage: no network")

    monkeypatch.setattr(FoldStore, "pull", fail)
    code, said = run(Work(fold_job(tmp_path), {}, tmp_path, travel=travel))
    assert (code, said) == (2, [(True, "error: --ray_storage: no network")])


def test_what_killed_tasks_have_left_is_removed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    ended = subprocess.Popen(["/bin/true"])
    ended.wait()
    left = tmp_path / f"{node._SCRATCH}{ended.pid}-abc"
    at_work = tmp_path / f"{node._SCRATCH}{os.getppid()}-abc"
    other = tmp_path / f"{node._SCRATCH}notes"
    for path in (left, at_work, other):
        path.mkdir()
    with node._scratch() as scratch:
        assert scratch.is_dir()
    assert [path.exists() for path in (left, at_work, other, scratch)] == [False, True, True, False]
