"""Child processes that no signal leaves behind: each is known before Ctrl-C or SIGTERM is answered."""

import signal
import subprocess
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from types import TracebackType
from typing import IO

# How long a short program, such as git or pip, may take to end when it is asked to.
_GRACE_S = 5.0


@contextmanager
def deferred_signals() -> Iterator[None]:
    """Hold Ctrl-C and SIGTERM back for the length of a `with` statement; they arrive at its end.

    A handler that raises while `subprocess.Popen` has not returned leaves a child behind that nobody
    knows of and nobody ends. The signals are not blocked instead, since a child inherits the mask.
    """
    if threading.current_thread() is not threading.main_thread():
        yield  # handlers run in the main thread alone
        return
    with _deferred(signal.SIGTERM), _deferred(signal.SIGINT):
        yield


@contextmanager
def _deferred(number: signal.Signals) -> Iterator[None]:
    if signal.getsignal(number) in (None, signal.SIG_IGN):
        yield
        return
    arrived: list[int] = []
    before = signal.signal(number, lambda arriving, _: arrived.append(arriving))
    try:
        yield
    finally:
        signal.signal(number, before)
        if arrived:
            signal.raise_signal(number)


class Child:
    """A child process for the length of a `with` statement: it has ended when the statement is left.

    Where an exception leaves the statement, the child is asked to end (SIGTERM), and killed if it
    does not; otherwise it is waited for.

    Args:
        command: The program and its arguments.
        grace_s: Seconds for which a child that was asked to end may go on; None: as many as it likes.
        output: Where it prints, as `subprocess` understands it; None for where this process does.
        errors: The same of its errors.
        cwd: The folder in which it runs; None for this process's.
        env: Its environment; None for this process's.
    """

    def __init__(
        self,
        command: Sequence[str],
        grace_s: float | None = _GRACE_S,
        output: int | None = None,
        errors: int | None = None,
        cwd: Path | None = None,
        env: Mapping[str, str] | None = None,
    ) -> None:
        self._command, self._grace_s = command, grace_s
        self._output, self._errors, self._cwd, self._env = output, errors, cwd, env
        self._process: subprocess.Popen[str] | None = None

    def __enter__(self) -> "subprocess.Popen[str]":
        try:
            with deferred_signals():
                self._process = subprocess.Popen(  # noqa: S603 - our own commands
                    self._command,
                    stdout=self._output,
                    stderr=self._errors,
                    cwd=self._cwd,
                    env=self._env,
                    encoding="utf-8",
                    errors="replace",
                )
            return self._process
        except BaseException:
            self._end()
            raise

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if error is not None or self._process is None:
            self._end()
            return
        try:
            self._process.wait()
        except BaseException:
            self._end()
            raise
        _close(self._process)

    def _end(self) -> None:
        if self._process is None:
            return
        try:
            self._process.terminate()
            self._process.wait(self._grace_s)
        except subprocess.TimeoutExpired:
            pass
        finally:  # a second Ctrl-C ends the waiting
            self._process.kill()
            self._process.wait()
            _close(self._process)


def run_child(
    command: Sequence[str],
    capture: bool = False,
    cwd: Path | None = None,
    env: Mapping[str, str] | None = None,
) -> "subprocess.CompletedProcess[str]":
    """Run a program to its end, as `subprocess.run` does; no signal leaves it behind.

    Args:
        command: The program and its arguments.
        capture: Whether what it prints is returned instead of printed.
        cwd: The folder in which it runs; None for this process's.
        env: Its environment; None for this process's.
    """
    pipe = subprocess.PIPE if capture else None
    with Child(command, output=pipe, errors=pipe, cwd=cwd, env=env) as process:
        printed = process.communicate()
    return subprocess.CompletedProcess(list(command), process.returncode, *printed)


def _close(process: "subprocess.Popen[str]") -> None:
    pipes: list[IO[str] | None] = [process.stdout, process.stderr]
    for pipe in filter(None, pipes):
        with suppress(OSError):
            pipe.close()
