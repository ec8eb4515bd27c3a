"""Processes side by side: each with its share of the machine, and none outliving the launcher."""

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

import melanoma
from melanoma.command_line import sigterm_as_exit

# How long a process may take to end by itself: Lightning does so after the batch it is at.
_GRACE_S = 30.0
_POLL_S = 0.1
_WATCH_S = 2.0
_LAUNCHER = "MELANOMA_LAUNCHER_PID"
# What torchrun and SLURM tell a process of the others.
_OF_LAUNCHERS_ALL = ("TORCHELASTIC_", "SLURM_")
_OF_LAUNCHERS = {
    *("RANK", "LOCAL_RANK", "NODE_RANK", "GROUP_RANK", "ROLE_RANK", "ROLE_NAME", "ROLE_WORLD_SIZE"),
    *("WORLD_SIZE", "LOCAL_WORLD_SIZE", "GROUP_WORLD_SIZE", "MASTER_ADDR", "MASTER_PORT"),
}
# Of a fold that has stopped where it can go on (sysexits.h: try again later).
STOPPED = 75


@dataclass(frozen=True)
class Share:
    """What one of several processes may use.

    Attributes:
        environment: Variables set for it.
        cores: Numbers of its processor cores; None for all.
    """

    environment: dict[str, str] = field(default_factory=dict)
    cores: frozenset[int] | None = None


@dataclass(frozen=True)
class Job:
    """A module of this package to run.

    Attributes:
        name: For messages.
        module: As after `python -m`.
        arguments: Of its command line.
        alone: Whether it runs on this machine only, where torchrun, SLURM or the like have started
            this process on several: it is not told of them.
    """

    name: str
    module: str
    arguments: list[str]
    alone: bool = False


WHOLE_MACHINE = Share()


def run_processes(
    jobs: Iterable[Job], shares: list[Share], deadline: float | None = None
) -> dict[str, int]:
    """Run jobs, at most as many at a time as there are shares.

    When one fails, those that run go on to their end, and no other is started. However this
    function is left, by Ctrl-C and SIGTERM too, no process it has started goes on.

    Args:
        jobs: Taken one by one, when a share is free.
        shares: Of the machine.
        deadline: When all are ended, by `time.monotonic()`; None for never.

    Returns:
        The exit code of each job that was started, by its name.
    """
    waiting, free = iter(jobs), list(shares)
    running: dict[str, tuple[subprocess.Popen[bytes], Share]] = {}
    codes: dict[str, int] = {}
    with sigterm_as_exit():
        try:
            while True:
                while free and not any(codes.values()) and (job := next(waiting, None)):
                    running[job.name] = _start(job, free[0]), free.pop(0)
                if not running:
                    return codes
                time.sleep(_POLL_S)
                if deadline is not None and time.monotonic() > deadline:
                    return codes | dict.fromkeys(running, STOPPED)
                for name, (process, share) in list(running.items()):
                    if process.poll() is not None:
                        codes[name] = process.returncode
                        free.append(share)
                        del running[name]
        finally:
            _stop([process for process, _ in running.values()])


def describe_end(code: int) -> str:
    """Say how a process ended that did not end well.

    >>> describe_end(2), describe_end(-15)
    ('stopped with exit code 2', 'was ended by SIGTERM')
    """
    if code >= 0:
        return f"stopped with exit code {code}"
    name = signal.Signals(-code).name
    # The system kills what takes the last of its memory, and nobody is there to say so.
    why = " (if nobody did, for want of memory)" if -code == signal.SIGKILL else ""
    return f"was ended by {name}{why}"


def end_with_launcher() -> None:
    """End this process, its workers and its further devices when its launcher is gone.

    Called by a process that `run_processes` may have started; does nothing in any other.
    """
    launcher = os.environ.pop(_LAUNCHER, None)
    if launcher:
        threading.Thread(target=_watch, args=(int(launcher),), daemon=True).start()


def _watch(launcher: int) -> None:
    while os.getppid() == launcher:
        time.sleep(_WATCH_S)
    os.killpg(0, signal.SIGKILL)


def _start(job: Job, share: Share) -> subprocess.Popen[bytes]:
    source = str(Path(melanoma.__file__).parents[1])
    paths = [source, *filter(None, [os.environ.get("PYTHONPATH")])]
    own = {"PYTHONPATH": os.pathsep.join(paths), _LAUNCHER: str(os.getpid())}
    with _on_cores(share.cores):
        return subprocess.Popen(
            [sys.executable, "-m", job.module, *job.arguments],
            env={**_environment(job.alone), **own, **share.environment},
            process_group=0,  # of its own, so that its workers can be ended with it
        )


def _environment(alone: bool) -> dict[str, str]:
    return {
        name: value
        for name, value in os.environ.items()
        if not (alone and (name in _OF_LAUNCHERS or name.startswith(_OF_LAUNCHERS_ALL)))
    }


@contextmanager
def _on_cores(cores: frozenset[int] | None) -> Iterator[None]:
    """What is started here inherits the cores; nothing need be run between fork and exec for it."""
    if cores is None or not hasattr(os, "sched_setaffinity"):
        yield
        return
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, cores)
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)


def _stop(processes: list[subprocess.Popen[bytes]]) -> None:
    for process in processes:
        process.terminate()
    deadline = time.monotonic() + _GRACE_S
    try:
        for process in processes:
            with suppress(subprocess.TimeoutExpired):
                process.wait(max(0.0, deadline - time.monotonic()))
    finally:  # a second Ctrl-C ends the waiting
        for process in processes:
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()
