"""One writer at a time: locks on the folds of a run, which the system releases with the process."""

import os
import platform
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from melanoma.errors import RunError
from melanoma.files import read_object, remove_file, write_json, writing_explained

# Kept beside the folds, not in them: a fold's folder is removed when it is repeated.
LOCKS = ".locks"
# How long the processes of one that was killed may take to end: those that read photographs look
# every five seconds whether it is still there.
_ENDING_S = 15.0
_POLL_S = 0.1
# Of the further processes of one call on several devices, as Lightning, torchrun and SLURM say it.
_RANKS = ("RANK", "LOCAL_RANK", "NODE_RANK", "SLURM_PROCID")


def is_first_process() -> bool:
    """Whether this is the one process of several on as many devices that takes locks for all."""
    return all(os.environ.get(name, "0") in ("", "0") for name in _RANKS)


def is_alone() -> bool:
    """Whether nobody has started this process on further devices as well."""
    return int(os.environ.get("WORLD_SIZE") or 1) == 1 and "SLURM_PROCID" not in os.environ


@contextmanager
def hold(path: Path, what: str, wait_s: float = 0.0) -> Iterator[None]:
    """Be the only process that does something, for the length of a `with` statement.

    The lock is the operating system's (flock), so that one whose holder has died is none. Who holds
    it is written beside it, for the message.

    Args:
        path: The lock, a file in `LOCKS` of a run folder.
        what: Is done, for the message: "fold 0 is being trained".
        wait_s: How long to wait for a process that is at work.

    Raises:
        RunError: If another process holds it, naming it, its machine and since when.
        MelanomaError: If the lock cannot be written.
    """
    lock = FileLock(str(path))
    holder = path.with_suffix(".json")
    _acquire(lock, holder, wait_s)
    try:
        write_json(holder, _ourselves(what))
        yield
    finally:
        remove_file(holder)
        lock.release()


def is_running(pid: int) -> bool:
    """Whether there is a process of this number on this machine.

    >>> is_running(os.getpid())
    True
    """
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except OSError:  # of another user
        return True
    return True


def _acquire(lock: FileLock, holder: Path, wait_s: float) -> None:
    started = time.monotonic()
    with writing_explained(Path(lock.lock_file)):
        holder.parent.mkdir(parents=True, exist_ok=True)
        while not _try(lock):
            other = _read(holder)
            patience_s = _ENDING_S if not other or _is_ending(other) else wait_s
            if time.monotonic() - started >= patience_s:
                raise RunError(_refusal(holder, other))
            time.sleep(_POLL_S)


def _try(lock: FileLock) -> bool:
    try:
        lock.acquire(timeout=0)
    except Timeout:
        return False
    return True


def _ourselves(what: str) -> dict[str, Any]:
    return {
        "pid": os.getpid(),
        # Where it was a launcher that has been killed, this process is about to end.
        "parent": os.getppid(),
        "host": platform.node(),
        "since": datetime.now(UTC).isoformat(timespec="seconds"),
        "what": what,
    }


def _read(holder: Path) -> dict[str, Any]:
    """Who holds a lock; empty where it is about to be written."""
    content = read_object(holder)
    return content if _ourselves("").keys() <= content.keys() else {}


def _is_ending(other: dict[str, Any]) -> bool:
    """Whether what holds a lock are the remains of a process that was killed."""
    if other.get("host") != platform.node():
        return False
    return not (is_running(int(other["pid"])) and is_running(int(other["parent"])))


def _refusal(holder: Path, other: dict[str, Any]) -> str:
    what, who = f"{holder.stem} is being written", "another process"
    if other:
        what = other["what"]
        who = f"process {other['pid']} on {other['host']} since {other['since']}"
    return f"{holder.parents[1]}: {what} by {who}. Wait for it to end, or choose another --run_dir."
