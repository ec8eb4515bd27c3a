import os
import signal
import threading
import time
from pathlib import Path

import pytest

from melanoma.command_line import Terminated, sigterm_as_exit
from melanoma.kaggle import steps
from melanoma.kaggle.steps import StepError, run_step


def step(folder: Path, code: str) -> list[str]:
    (folder / "step.py").write_text(f"import pathlib, signal, sys, time\n{code}\n")
    return ["step.py", "--a b"]


def test_a_step_is_shown_and_run(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    run_step(step(tmp_path, "print(sys.argv[1])"), tmp_path)
    assert capfd.readouterr().out == "$ python step.py '--a b'\n--a b\n"


@pytest.mark.parametrize(
    ("code", "expected"),
    [("sys.exit(3)", 3), ("import os; os.kill(os.getpid(), signal.SIGKILL)", 137)],
)
def test_a_step_that_fails_keeps_its_code(tmp_path: Path, code: str, expected: int) -> None:
    with pytest.raises(StepError, match=rf"step.py has failed with exit code {expected}; the") as e:
        run_step(step(tmp_path, code), tmp_path)
    assert e.value.exit_code == expected


def test_a_step_that_takes_too_long_is_ended(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(steps, "_GRACE_S", 0.1)
    deaf = "signal.signal(signal.SIGTERM, signal.SIG_IGN)\ntime.sleep(600)"
    for code in ("time.sleep(600)", deaf):
        with pytest.raises(
            StepError, match=r"step.py has not ended in time. Push with a longer"
        ) as e:
            run_step(step(tmp_path, code), tmp_path, deadline=time.monotonic() + 0.2)
        assert e.value.exit_code == 124


def test_being_asked_to_end_is_passed_on(tmp_path: Path) -> None:
    code = (
        "def end(*_):\n    pathlib.Path('ended').touch(); sys.exit(0)\n"
        "signal.signal(signal.SIGTERM, end)\npathlib.Path('begun').touch()\ntime.sleep(600)"
    )

    def ask() -> None:
        while not (tmp_path / "begun").exists():
            time.sleep(0.01)
        os.kill(os.getpid(), signal.SIGTERM)

    asking = threading.Thread(target=ask)
    asking.start()
    with sigterm_as_exit(), pytest.raises(Terminated):
        run_step(step(tmp_path, code), tmp_path)
    asking.join()
    assert (tmp_path / "ended").exists()
