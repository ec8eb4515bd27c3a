"""What a task does on its machine: run the process of a fold, and pass on what it prints.

It imports neither torch nor Lightning: the fold's process does.
"""

import os
import platform
import shutil
import subprocess
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

from melanoma.children import deferred_signals
from melanoma.errors import MelanomaError, RunError
from melanoma.files import write_text
from melanoma.locking import is_running
from melanoma.run_folder import FoldFolder, RunFolder
from melanoma.training.cluster.lines import sayer
from melanoma.training.cluster.storage import FoldStore
from melanoma.training.processes import (
    Job,
    Share,
    pipes_of,
    relay_lines,
    start_process,
    stop_processes,
)

# Says a line of a fold's process: whether it is one of its errors, and the line.
Say = Callable[[bool, str], None]

_POLL_S = 0.1
_SCRATCH = "melanoma-fold-"


@dataclass(frozen=True)
class Travel:
    """How a fold travels where no disk is shared.

    Attributes:
        store: Its state in the storage.
        config: The run's configuration.
        options: Paths of it that hold wherever the process works.
        every_s: Seconds between two looks at whether there is something new to keep.
    """

    store: FoldStore
    config: str
    options: list[str]
    every_s: float


@dataclass(frozen=True)
class Work:
    """What a task is given.

    Attributes:
        job: The process; its deadline is left out.
        environment: Of it.
        folder: That it works in, if it is there.
        ends_at: When it has to have stopped, by `time.time()`, because each machine counts its own
            `time.monotonic()`; None for never.
        travel: None where the run folder is on a shared disk.
    """

    job: Job
    environment: dict[str, str]
    folder: Path
    ends_at: float | None = None
    travel: Travel | None = None


def train(work: Work, lines: Any, prefix: str) -> int:
    """The task of Ray: all it has to say is with the actor `lines` before it returns."""
    import ray

    # Not waited for: Ray gives the cores of a task that waits to another, and the two share them.
    lines.begin.remote(work.job.name, platform.node())
    code = run_work(work, sayer(lines, prefix))
    with suppress(ray.exceptions.RayError):  # where the call is gone, nobody waits for them
        ray.get(lines.fence.remote(), timeout=10)
    return code


def run_work(work: Work, say: Say) -> int:
    """Run the process of a fold to its end; the exit code.

    Where this is interrupted, the process is asked to end, as by SIGTERM, and leaves a checkpoint.
    """
    job = work.job
    if work.ends_at is not None:
        job = replace(job, deadline=time.monotonic() + work.ends_at - time.time())
    if work.travel is None:
        return _run(job, work, say, keep=None)
    try:
        with _scratch() as scratch:
            return _travel(job, work, work.travel, scratch, say)
    except MelanomaError as error:  # of the storage: a traceback of Ray's would hide it
        say(True, f"error: {error}")
        return error.exit_code


def _travel(job: Job, work: Work, travel: Travel, scratch: Path, say: Say) -> int:
    assert job.folder is not None  # noqa: S101 - only folds travel
    run = RunFolder(scratch / job.folder.path.parent.name)
    folder = run.fold(job.folder.number)
    config = write_text(run.config_yaml, travel.config)
    travel.store.pull(folder)
    arguments = ["--config", str(config), *job.arguments[2:-2], *travel.options]
    arguments += [f"--run_dir={run.path}", *job.arguments[-2:]]
    keep = _Keeper(travel, folder, say)
    code = _run(replace(job, arguments=arguments), work, say, keep)
    if folder.path.is_dir():  # a trial run leaves nothing
        travel.store.push(folder)
    return code


class _Keeper:
    """Keeps a fold in the storage now and then, while it is trained.

    A storage that fails for a moment costs no training: it is said, and tried again.
    """

    def __init__(self, travel: Travel, folder: FoldFolder, say: Say) -> None:
        self._travel, self._folder, self._say = travel, folder, say
        self._kept = self._state()
        self._next = time.monotonic() + travel.every_s

    def __call__(self) -> None:
        """Keep it if it is time, and there is a new checkpoint to go on from."""
        if time.monotonic() < self._next or self._state() == self._kept:
            return
        state = self._state()
        try:
            self._travel.store.push(self._folder)
            self._kept = state
        except RunError as error:
            self._say(True, f"warning: {error}")
        self._next = time.monotonic() + self._travel.every_s

    def _state(self) -> tuple[int, int] | None:
        try:
            found = self._folder.last_checkpoint.stat()
        except FileNotFoundError:
            return None
        return found.st_ino, found.st_mtime_ns


def _run(job: Job, work: Work, say: Say, keep: Callable[[], None] | None) -> int:
    place = work.folder if work.folder.is_dir() else None
    processes: list[subprocess.Popen[bytes]] = []
    readers: list[threading.Thread] = []
    try:
        with deferred_signals():
            process = start_process(job, Share(work.environment), subprocess.PIPE, place)
            processes.append(process)
            readers += [
                relay_lines(pipe, partial(say, is_error))
                for pipe, is_error in zip(pipes_of(process), (False, True))
            ]
        while process.poll() is None:
            time.sleep(_POLL_S)
            if keep is not None:
                keep()
    except KeyboardInterrupt:
        pass  # the task is to stop: what was written counts
    finally:
        stop_processes(processes)
    for reader in readers:
        # Ends with the last process that holds the pipe; a worker may linger.
        reader.join(timeout=5.0)
    return process.returncode


@contextmanager
def _scratch() -> Iterator[Path]:
    """A folder for the length of a task; those of tasks that were killed are removed."""
    root = Path(tempfile.gettempdir())
    for left in root.glob(f"{_SCRATCH}*"):
        number = left.name.removeprefix(_SCRATCH).partition("-")[0]
        if number.isdigit() and not is_running(int(number)):
            shutil.rmtree(left, ignore_errors=True)  # another task may be doing the same
    with tempfile.TemporaryDirectory(
        prefix=f"{_SCRATCH}{os.getpid()}-", ignore_cleanup_errors=True
    ) as name:
        yield Path(name)
