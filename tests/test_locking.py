import json
import os
import platform
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from melanoma.errors import MelanomaError, RunError
from melanoma.locking import LOCKS, hold, is_first_process, is_running

SOURCE = str(Path(__file__).resolve().parents[1] / "src")

HOLD = """
import sys, time
from pathlib import Path
from melanoma.errors import RunError
from melanoma.locking import hold
try:
    with hold(Path(sys.argv[1]), "fold 0 is being trained"):
        print("held", flush=True)
        time.sleep(float(sys.argv[2]))
except RunError as error:
    print(error, flush=True)
"""


@pytest.fixture
def lock(tmp_path: Path) -> Path:
    return tmp_path / "run" / LOCKS / "fold_0.lock"


def start(lock: Path, seconds: float = 60, code: str = HOLD) -> "subprocess.Popen[str]":
    return subprocess.Popen(
        [sys.executable, "-c", code, str(lock), str(seconds)],
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": SOURCE},
    )


def first_line(process: "subprocess.Popen[str]") -> str:
    assert process.stdout is not None
    return process.stdout.readline().strip()


@pytest.fixture
def holder(lock: Path) -> Iterator["subprocess.Popen[str]"]:
    with start(lock) as process:
        assert first_line(process) == "held"
        yield process
        process.kill()


def test_the_second_process_says_who_holds_it(lock: Path, holder: "subprocess.Popen[str]") -> None:
    message = (
        rf"run: fold 0 is being trained by process {holder.pid} on {platform.node()} since "
        r"20\d\d-.*\+00:00\. Wait for it to end, or choose another --run_dir"
    )
    with pytest.raises(RunError, match=message), hold(lock, "fold 0 is being predicted"):
        pass


def test_a_killed_process_holds_nothing(lock: Path, holder: "subprocess.Popen[str]") -> None:
    holder.send_signal(signal.SIGKILL)
    holder.wait()
    assert lock.with_suffix(".json").is_file()
    with hold(lock, "fold 0 is being trained"):
        assert json.loads(lock.with_suffix(".json").read_text())["pid"] == os.getpid()
    assert not lock.with_suffix(".json").exists()


def test_of_two_processes_one_wins_and_one_is_refused(lock: Path) -> None:
    with start(lock, 5) as one, start(lock, 5) as two:
        lines = sorted([first_line(one), first_line(two)])
        for process in (one, two):
            process.kill()
    assert lines[1] == "held"
    assert "fold 0 is being trained by process" in lines[0]


def test_the_remains_of_a_killed_process_are_waited_for(
    lock: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # As the processes that read photographs, which notice a little later that theirs is gone.
    code = HOLD.replace("time.sleep(float(sys.argv[2]))", "pid = remains()").replace(
        "try:",
        "import fcntl, os, signal\n"
        "def remains():\n"
        "    [fd] = [int(n) for n in os.listdir('/proc/self/fd')"
        " if os.path.realpath(f'/proc/self/fd/{n}') == sys.argv[1]]\n"
        "    os.set_inheritable(fd, True)\n"
        "    import subprocess\n"
        "    wait = 'until [ -e ' + sys.argv[1] + '.noticed ]; do sleep 0.02; done'\n"
        "    subprocess.Popen(['sh', '-c', wait], close_fds=False)\n"
        "    os.kill(os.getpid(), signal.SIGKILL)\n"
        "try:",
    )
    if not Path("/proc/self/fd").exists():
        pytest.skip("needs /proc")
    with start(lock.resolve(), code=code) as process:
        assert first_line(process) == "held"
    noticed = Path(f"{lock.resolve()}.noticed")
    sleep = time.sleep

    def wait(seconds: float) -> None:
        noticed.touch()
        sleep(seconds)

    monkeypatch.setattr("melanoma.locking.time.sleep", wait)
    # However long the remains take to end.
    monkeypatch.setattr("melanoma.locking._ENDING_S", 600.0)
    with hold(lock, "fold 0 is being trained"):
        assert noticed.exists()


def test_a_call_may_wait_for_a_short_one(lock: Path) -> None:
    with start(lock, 0.5) as process:
        assert first_line(process) == "held"
        with hold(lock, "the run is being begun", wait_s=600):
            pass


def test_a_lock_without_a_description_is_waited_for_and_then_refused(
    lock: Path, holder: "subprocess.Popen[str]", monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("melanoma.locking._ENDING_S", 0.3)
    lock.with_suffix(".json").write_text("{}")
    with (
        pytest.raises(RunError, match="fold_0 is being written by another process"),
        hold(lock, "x"),
    ):
        pass


def test_a_folder_that_cannot_be_locked_is_named(tmp_path: Path) -> None:
    (tmp_path / "run").touch()
    lock = tmp_path / "run" / LOCKS / "x.lock"
    message = r"x.lock cannot be written: a file is where its folder should be. Remove it from"
    with pytest.raises(MelanomaError, match=message), hold(lock, "x"):
        pass


@pytest.mark.parametrize("name", ["RANK", "LOCAL_RANK", "NODE_RANK", "SLURM_PROCID"])
def test_only_the_first_of_several_devices_takes_locks(
    monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    monkeypatch.setenv(name, "0")
    assert is_first_process()
    monkeypatch.setenv(name, "1")
    assert not is_first_process()


def test_a_process_that_has_ended_is_not_running() -> None:
    process = subprocess.Popen([sys.executable, "-c", ""])
    process.wait()
    assert not is_running(process.pid)
    assert is_running(1)
