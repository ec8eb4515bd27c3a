"""A signal may arrive at any moment: before a child is known, while it runs, while it is ending."""

import ast
import os
import runpy
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from melanoma.children import Child, deferred_signals, run_child
from melanoma.command_line import Terminated, sigterm_as_exit
from melanoma.kaggle import steps
from melanoma.training.cluster import node
from melanoma.training.processes import WHOLE_MACHINE, Job, run_processes

ROOT = Path(__file__).resolve().parents[1]
RAISED = {signal.SIGTERM: Terminated, signal.SIGINT: KeyboardInterrupt}
both_signals = pytest.mark.parametrize("number", list(RAISED))
SLEEP = [sys.executable, "-c", "import time; time.sleep(600)"]


@pytest.fixture
def early(monkeypatch: pytest.MonkeyPatch) -> Iterator[list["subprocess.Popen[Any]"]]:
    """Children that were started; a signal arrives while `Popen` has not yet returned.

    The signal is `NUMBER`.
    """
    started: list[subprocess.Popen[Any]] = []
    real = subprocess.Popen

    class Interrupted(real):  # type: ignore[misc,valid-type]
        def __init__(self, *arguments: Any, **options: Any) -> None:
            super().__init__(*arguments, **options)
            started.append(self)
            os.kill(os.getpid(), NUMBER[0])

    monkeypatch.setattr(subprocess, "Popen", Interrupted)
    yield started
    for process in started:
        real.kill(process)
        real.wait(process)


# The signal that `early` sends.
NUMBER = [signal.SIGTERM]


def as_child() -> None:
    with Child(SLEEP) as process:
        process.wait()


def as_step() -> None:
    steps.run_step(SLEEP[1:], ROOT)


def as_processes() -> None:
    job = Job("a", "timeit", ["-n1", "-r1", "import time; time.sleep(600)"])
    run_processes([job], [WHOLE_MACHINE])


def as_task_of_a_cluster() -> None:
    job = Job("a", "timeit", ["-n1", "-r1", "import time; time.sleep(600)"])
    work = node.Work(job, {}, ROOT)
    node._run(job, work, lambda *_: None, None)
    raise RAISED[NUMBER[0]]  # it takes a signal for the end of its task, and says what was written


@both_signals
@pytest.mark.parametrize(
    "start", [as_child, lambda: run_child(SLEEP), as_step, as_processes, as_task_of_a_cluster]
)
def test_a_signal_before_the_child_is_known_ends_it(
    start: Callable[[], object], number: signal.Signals, early: list["subprocess.Popen[Any]"]
) -> None:
    NUMBER[0] = number
    with sigterm_as_exit(), pytest.raises(RAISED[number]):
        start()
    (process,) = early
    assert process.returncode is not None


@both_signals
def test_a_kernels_script_passes_an_early_signal_on(
    number: signal.Signals, early: list["subprocess.Popen[Any]"], tmp_path: Path
) -> None:
    NUMBER[0] = number
    template = tmp_path / "template.py"
    template.write_text((ROOT / "kaggle_kernel/template.py").read_text(encoding="utf-8"))
    handlers = {number: signal.getsignal(number) for number in RAISED}
    kernel = runpy.run_path(str(template))
    package = tmp_path / "src" / "melanoma" / "kaggle"
    package.mkdir(parents=True)
    for folder in (package.parent, package):
        (folder / "__init__.py").touch()
    (package / "kernel.py").write_text("import time; time.sleep(600)")
    try:
        code = kernel["run"](tmp_path)
    finally:
        for name, handler in handlers.items():
            signal.signal(name, handler)
    assert len(early) == 1
    # Before it has begun, Python answers Ctrl-C in its own way.
    assert code in (128 + number, 1)


def test_signals_arrive_once_at_the_end() -> None:
    arrived: list[int] = []
    for number in RAISED:
        before = signal.signal(number, lambda n, _: arrived.append(n))
        try:
            with deferred_signals():
                os.kill(os.getpid(), number)
                os.kill(os.getpid(), number)
                assert number not in arrived
            assert arrived.count(number) == 1
        finally:
            signal.signal(number, before)


@both_signals
def test_what_was_ignored_stays_ignored(number: signal.Signals) -> None:
    before = signal.signal(number, signal.SIG_IGN)
    try:
        with deferred_signals():
            os.kill(os.getpid(), number)
        assert signal.getsignal(number) is signal.SIG_IGN
    finally:
        signal.signal(number, before)


def test_other_threads_start_children_too() -> None:
    codes: list[int] = []
    command = [sys.executable, "-c", "raise SystemExit(3)"]
    thread = threading.Thread(target=lambda: codes.append(run_child(command).returncode))
    thread.start()
    thread.join()
    assert codes == [3]


def test_a_child_that_does_not_end_is_killed() -> None:
    ignore = "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN)"
    code = f"{ignore}; print('ready', flush=True); time.sleep(600)"
    child = Child([sys.executable, "-c", code], grace_s=0.01, output=subprocess.PIPE)
    process = child.__enter__()
    assert process.stdout is not None
    assert process.stdout.readline() == "ready\n"
    child.__exit__(KeyboardInterrupt, KeyboardInterrupt(), None)
    assert process.returncode == -signal.SIGKILL


def test_a_program_that_ends_is_as_subprocess_has_it() -> None:
    code = "import sys; print('said'); print('wrong', file=sys.stderr); sys.exit(4)"
    done = run_child([sys.executable, "-c", code], capture=True)
    assert (done.returncode, done.stdout, done.stderr) == (4, "said\n", "wrong\n")


def test_a_program_that_is_not_there_is_an_error() -> None:
    with pytest.raises(FileNotFoundError):
        run_child(["/nowhere/program"])


def test_children_are_started_here_alone() -> None:
    """Otherwise a signal that comes early would leave one behind."""
    doors = {"children.py": {"Popen"}, "training/processes.py": {"Popen"}}
    starters = {"Popen", "run", "call", "check_call", "check_output"}
    found = {}
    source = ROOT / "src" / "melanoma"
    for path in source.rglob("*.py"):
        calls = {
            node.func.attr
            for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
            if isinstance(node, ast.Call)
            and isinstance(node.func, ast.Attribute)
            and isinstance(node.func.value, ast.Name)
            and node.func.value.id == "subprocess"
        }
        if calls & starters:
            found[str(path.relative_to(source))] = calls & starters
    assert found == doors
