"""Processes side by side: each with its share of the machine, and none outliving the launcher."""

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import IO

import melanoma
from melanoma.children import deferred_signals
from melanoma.command_line import sigterm_as_exit
from melanoma.run_folder import FoldFolder

# How long a process may take to end by itself: Lightning does so after the batch it is at.
_GRACE_S = 30.0
_POLL_S = 0.1
_WATCH_S = 2.0
# A pipe ends with the last process that holds it; a worker may linger.
_READ_S = 5.0
_LAUNCHER = "MELANOMA_LAUNCHER_PID"
# Seconds for which a fold's process waits for another one that is at work in the fold; 0 by default.
LOCK_WAIT = "MELANOMA_LOCK_WAIT_S"
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
        deadline: When it has to have stopped, by `time.monotonic()`; None for never.
        folder: Of the fold that it trains, if it trains one.
        prefix: Of every line that it prints, where jobs of several runs print side by side.
    """

    name: str
    module: str
    arguments: list[str]
    alone: bool = False
    deadline: float | None = None
    folder: FoldFolder | None = None
    prefix: str = ""


WHOLE_MACHINE = Share()


class JobQueue:
    """The jobs of several runs, taken one by one; where one has failed, its run gets no other.

    Args:
        runs: The jobs of each, made when they are taken.
    """

    def __init__(self, runs: Iterable[Iterable[Job]]) -> None:
        self._waiting = [iter(jobs) for jobs in runs]
        self._taken: dict[str, Iterator[Job]] = {}
        self.codes: dict[str, int] = {}

    def __iter__(self) -> Iterator[Job]:
        """Take all that is left, one by one."""
        return iter(self.take, None)

    def take(self) -> Job | None:
        """The next job, of the first run that has one; None if none is left."""
        while self._waiting:
            job = next(self._waiting[0], None)
            if job is not None:
                self._taken[job.name] = self._waiting[0]
                return job
            del self._waiting[0]
        return None

    def ended(self, job: Job, code: int) -> None:
        """Note the exit code of a job that was taken."""
        self.codes[job.name] = code
        if code:
            self._waiting = [jobs for jobs in self._waiting if jobs is not self._taken[job.name]]

    @classmethod
    def of(cls, jobs: Iterable[Job]) -> "JobQueue":
        """Jobs of one run as a queue; a queue as it is."""
        return jobs if isinstance(jobs, JobQueue) else cls([jobs])


def run_processes(
    jobs: Iterable[Job], shares: list[Share], deadline: float | None = None
) -> dict[str, int]:
    """Run jobs, at most as many at a time as there are shares.

    When one fails, those that run go on to their end, and no other of its run is started. However
    this function is left, by Ctrl-C and SIGTERM too, no process it has started goes on.

    Args:
        jobs: Of one run, or a queue of several; taken one by one, when a share is free.
        shares: Of the machine.
        deadline: When all are ended, by `time.monotonic()`; None for never.

    Returns:
        The exit code of each job that was started, by its name.
    """
    queue, free = JobQueue.of(jobs), list(shares)
    running: list[_Running] = []
    with sigterm_as_exit():
        try:
            while True:
                while free and (job := queue.take()):
                    with deferred_signals():
                        running.append(_start_and_print(job, free.pop(0)))
                if not running:
                    return queue.codes
                time.sleep(_POLL_S)
                if deadline is not None and time.monotonic() > deadline:
                    return queue.codes | {one.job.name: STOPPED for one in running}
                for one in [one for one in running if one.process.poll() is not None]:
                    one.finish_reading()
                    queue.ended(one.job, one.process.returncode)
                    free.append(one.share)
                    running.remove(one)
        finally:
            stop_processes([one.process for one in running])
            for one in running:
                one.finish_reading()


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


def start_process(
    job: Job, share: Share, output: int | None = None, folder: Path | None = None
) -> subprocess.Popen[bytes]:
    """Start the process of a job.

    Args:
        job: What it does.
        share: What it may use.
        output: Where it prints, as `subprocess` understands it; None for where this process does.
        folder: That it works in; None for this process's.
    """
    source = str(Path(melanoma.__file__).parents[1])
    paths = [source, *filter(None, [os.environ.get("PYTHONPATH")])]
    own = {"PYTHONPATH": os.pathsep.join(paths), _LAUNCHER: str(os.getpid())}
    deadline = [] if job.deadline is None else [f"--deadline={job.deadline}"]
    with _on_cores(share.cores):
        return subprocess.Popen(
            [sys.executable, "-m", job.module, *job.arguments, *deadline],
            env={**_environment(job.alone), **own, **share.environment},
            process_group=0,  # of its own, so that its workers can be ended with it
            stdout=output,
            stderr=output,
            cwd=folder,
        )


def pipes_of(process: subprocess.Popen[bytes]) -> list[IO[bytes]]:
    """What a process prints to: its output and its errors, where it was started with pipes."""
    return [pipe for pipe in (process.stdout, process.stderr) if pipe is not None]


def relay_lines(pipe: IO[bytes], say: Callable[[str], None]) -> threading.Thread:
    """Say every line that comes out of a pipe; the thread ends with it."""

    def relay() -> None:
        with pipe:
            for line in pipe:
                say(line.decode("utf-8", errors="replace").rstrip("\n"))

    thread = threading.Thread(target=relay, daemon=True)
    thread.start()
    return thread


@dataclass(frozen=True)
class _Running:
    job: Job
    share: Share
    process: subprocess.Popen[bytes]
    readers: list[threading.Thread]

    def finish_reading(self) -> None:
        """Let what the process has said be printed before anything is said of its end."""
        for reader in self.readers:
            reader.join(timeout=_READ_S)


def _start_and_print(job: Job, share: Share) -> _Running:
    if not job.prefix:
        return _Running(job, share, start_process(job, share), [])
    process = start_process(job, share, subprocess.PIPE)
    readers = [
        relay_lines(pipe, partial(print, job.prefix, file=stream, flush=True))
        for pipe, stream in zip(pipes_of(process), (sys.stdout, sys.stderr))
    ]
    return _Running(job, share, process, readers)


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


def stop_processes(processes: list[subprocess.Popen[bytes]]) -> None:
    """Ask processes to end, and end those that have not after a while."""
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
