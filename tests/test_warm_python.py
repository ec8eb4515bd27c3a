"""A fork of the warm Python does what a process of Python does: tests take one for the other."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from warm_python import WarmPython

COLD = sys.executable
SOURCE = Path(__file__).resolve().parents[1] / "src"
SAY = """
import os, sys
print(sys.argv, sys.path[:2], os.getcwd(), os.environ["MARK"], __name__, os.sched_getaffinity(0))
print(sys.stdin.read(), file=sys.stderr)
"""
# What is called, and whether both have to print the same, too.
CALLS = {
    "code": (["-c", SAY, "a", "--b"], True),
    "unbuffered": (["-u", "-c", SAY], True),
    "script": (["script.py", "--x=1"], True),
    "module": (["-m", "module", "y"], True),
    "exit code": (["-c", "raise SystemExit(3)"], True),
    "a message": (["-c", "import sys; sys.exit('why')"], True),
    "an error": (["-c", "1 / 0"], False),  # with other frames above it
    "a signal": (["-c", "import os; os.kill(os.getpid(), 9)"], True),
    "a thread": (["-c", "import threading; threading.Timer(0.1, print, ['late']).start()"], True),
    "at the end": (["-c", "import atexit; atexit.register(print, 'last')"], True),
    "a warning": (["-W", "error", "-c", "import warnings; warnings.warn('x')"], False),
    "another option": (["-O", "-c", "print(__debug__)"], True),
    "a temporary file": (["-c", "import tempfile; print(tempfile.gettempdir())"], True),
}


@pytest.mark.parametrize("name", list(CALLS))
def test_a_fork_is_what_a_process_is(name: str, warm_python: WarmPython, tmp_path: Path) -> None:
    (tmp_path / "script.py").write_text(SAY)
    (tmp_path / "module.py").write_text(SAY)
    words, is_same = CALLS[name]
    done = [
        subprocess.run(
            [python, *words],
            env={**os.environ, "MARK": "x", "PYTHONPATH": str(SOURCE), "TMPDIR": str(tmp_path)},
            cwd=tmp_path,
            input="read",
            capture_output=True,
            text=True,
        )
        for python in (COLD, str(warm_python.path))
    ]
    cold, warm = done
    assert warm.returncode == cold.returncode
    if is_same:
        assert (warm.stdout, warm.stderr) == (cold.stdout, cold.stderr)
    else:
        assert warm.stderr.splitlines()[-1] == cold.stderr.splitlines()[-1]


@pytest.mark.usefixtures("warm")
@pytest.mark.parametrize("variable", ["MARK", "PYTHON3", "PYTHON312", "PYTHONPATH"])
def test_torch_is_there_and_our_modules_are_read_from_the_path(variable: str) -> None:
    """Also where make was told which Python to take: it passes that variable on."""
    code = (
        "import sys; print('torch' in sys.modules, 'melanoma' in sys.modules, 'ray' in sys.modules)"
    )
    environment = {**os.environ, variable: "python3"}
    printed = subprocess.check_output([sys.executable, "-c", code], text=True, env=environment)
    assert printed.split() == ["True", "False", "False"]


def start(code: str) -> "subprocess.Popen[str]":
    return subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True)


@pytest.mark.usefixtures("warm")
def test_children_of_a_fork_are_forks() -> None:
    inner = "import sys; print('torch' in sys.modules)"
    code = f"import subprocess, sys; subprocess.run([sys.executable, '-c', {inner!r}])"
    with start(code) as process:
        assert process.stdout is not None
        assert process.stdout.read() == "True\n"


@pytest.mark.usefixtures("warm")
@pytest.mark.parametrize("sent", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_reaches_the_fork(sent: signal.Signals) -> None:
    answer = f"signal.signal({sent.value}, lambda *_: sys.exit(75))"
    with start(
        f"import signal, sys, time; {answer}; print(1, flush=True); time.sleep(600)"
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "1\n"
        process.send_signal(sent)
    assert process.returncode == 75


@pytest.mark.usefixtures("warm")
def test_a_fork_ends_with_its_client() -> None:
    with start("import os, time; print(os.getpid(), flush=True); time.sleep(600)") as process:
        assert process.stdout is not None
        fork = int(process.stdout.readline())
        process.kill()
        assert process.stdout.read() == ""  # the fork holds the other end of the pipe
    assert fork != process.pid
