"""One kernel per fold: pushed as there is room for them, and watched to their ends."""

import hashlib
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from melanoma.errors import ConfigError, MelanomaError, name_some
from melanoma.files import read_object, sha256_of, write_json
from melanoma.kaggle.failures import (
    KaggleError,
    NotFoundError,
    SessionsTakenError,
    UnreachableError,
)
from melanoma.kaggle.follow import End, Say, Watch, say_now
from melanoma.kaggle.patience import Patience
from melanoma.kaggle.push import page_of, push_kernel, read_ref
from melanoma.kaggle.service import Kaggle

# Kaggle runs two GPU kernels of an account at a time.
AT_ONCE = 2
# For others of the account to end: as long as a session may last.
_LONGEST_WAIT_S = 12 * 3600
_PUSHING, _RUNNING = "pushing", "running"
_NOT_PUSHED = "NOT PUSHED"


@dataclass(frozen=True)
class Queued:
    """How the kernels have ended.

    Attributes:
        ends: In the order of their folders; one that could not be pushed has the status NOT PUSHED.
    """

    ends: list[End]

    @property
    def exit_code(self) -> int:
        """1 if one of them has not ended well."""
        return 0 if all(end.is_complete for end in self.ends) else 1

    def as_text(self) -> str:
        """A line for each."""
        return "\n".join(
            f"{end.ref}: {end.status.lower()}" + (f" ({end.message})" if end.message else "")
            for end in self.ends
        )


def push_all(
    kaggle: Kaggle,
    folders: Sequence[Path],
    state: Path,
    at_once: int = AT_ONCE,
    patience: Patience | None = None,
    say: Say = say_now,
    ended: Callable[[End], None] = lambda _: None,
) -> Queued:
    """Push kernels, some at a time, and wait for all of them.

    Interrupted and called again, it neither pushes what runs nor what has ended well, as long as
    the folders are the same. One that fails does not keep the others from running.

    Args:
        kaggle: As `connection.connect` gives it.
        folders: Of kernels, as for `push_kernel`, of different ids.
        state: File in which it is noted what has been pushed.
        at_once: How many may run at a time.
        patience: How often to look, and how long Kaggle may be away.
        say: Shows a line.
        ended: Called with each kernel as it ends, for instance to download what it has left.

    Raises:
        ConfigError: If a folder holds no kernel, or two hold the same.
        KaggleError: If Kaggle stays away. Kernels that run go on.
    """
    kernels = {read_ref(folder): folder for folder in folders}
    if len(kernels) < len(folders):
        raise ConfigError(
            f"{name_some(folders)}: two hold a kernel of the same id; each fold needs its own."
        )
    queue = _Queue(kaggle, kernels, _Notes(state), patience or Patience(), say, ended)
    try:
        return queue.to_the_end(at_once)
    except (KeyboardInterrupt, UnreachableError):
        say(
            f"{name_some(queue.running) if queue.running else 'Nothing'} goes on at Kaggle; repeat the "
            "command to follow it and to push the rest."
        )
        raise


class _Notes:
    """What has been pushed, on disk: a note per kernel, with the checksum of what it was made of."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._notes = read_object(path)

    def of(self, ref: str, folder: Path) -> dict[str, Any]:
        """What is noted of a kernel; empty where its folder is not what was pushed."""
        note = self._notes.get(ref)
        is_same = isinstance(note, dict) and note.get("content") == content_of(folder)
        return dict(note) if note and is_same else {}

    def write(self, ref: str, folder: Path, status: str, version: int = 0) -> None:
        self._notes[ref] = {"status": status, "version": version, "content": content_of(folder)}
        write_json(self._path, self._notes)


def content_of(folder: Path) -> str:
    """A checksum of the files of a kernel's folder."""
    files = sorted(path for path in folder.iterdir() if path.is_file())
    return hashlib.sha256(
        "".join(path.name + sha256_of(path) for path in files).encode()
    ).hexdigest()


class _Queue:
    def __init__(
        self,
        kaggle: Kaggle,
        kernels: dict[str, Path],
        notes: _Notes,
        patience: Patience,
        say: Say,
        ended: Callable[[End], None],
    ) -> None:
        self._kaggle, self._kernels, self._notes = kaggle, kernels, notes
        self._patience, self._say, self._ended = patience, say, ended
        self._watch = Watch(kaggle, patience, say)
        self._waiting = deque(kernels)
        self._ends: dict[str, End] = {}
        self._waited_s = 0.0
        # By `owner/slug`: the name to ask for, with the version where it is known.
        self.running: dict[str, str] = {}

    def to_the_end(self, at_once: int) -> Queued:
        self._take_up()
        while self._waiting or self.running:
            for ref in list(self.running):
                self._look(ref)
            while self._waiting and len(self.running) < at_once and self._push_next():
                pass
            if self._waiting or self.running:
                self._patience.sleep(self._patience.interval_s)
        return Queued([self._ends[ref] for ref in self._kernels])

    def _take_up(self) -> None:
        """Find what an earlier call has pushed."""
        for ref, folder in self._kernels.items():
            note = self._notes.of(ref, folder)
            status = note.get("status")
            if status == "COMPLETE":
                self._say(f"{ref}: complete already")
                self._waiting.remove(ref)
                self._end(End(ref, "COMPLETE"))
            elif status == _RUNNING or (status == _PUSHING and self._is_at_work(ref)):
                self._say(f"{ref}: pushed already")
                self._waiting.remove(ref)
                self.running[ref] = _versioned(ref, int(note.get("version") or 0))

    def _is_at_work(self, ref: str) -> bool:
        """Whether a kernel runs, of which a killed call could not note any more that it does."""
        try:
            return not self._kaggle.status(ref).is_over
        except NotFoundError:
            return False

    def _look(self, ref: str) -> None:
        try:
            status = self._watch.look(self.running[ref])
        except UnreachableError:
            raise
        except KaggleError as error:
            del self.running[ref]
            self._end(End(ref, "ERROR", str(error)))
            return
        if status is not None and status.is_over:
            del self.running[ref]
            self._notes.write(ref, self._kernels[ref], status.name)
            self._end(End(ref, status.name, status.message))

    def _push_next(self) -> bool:
        """Push the next kernel; whether another one may be tried at once."""
        ref = self._waiting[0]
        folder = self._kernels[ref]
        self._notes.write(ref, folder, _PUSHING)
        try:
            pushed = push_kernel(self._kaggle, folder)
        except SessionsTakenError as error:
            self._notes.write(ref, folder, _NOT_PUSHED)
            self._wait_for_room(error)
            return False
        except KaggleError as error:
            self._waiting.popleft()
            if not isinstance(error, UnreachableError):  # then nobody knows: the next call looks
                self._notes.write(ref, folder, _NOT_PUSHED)
            self._end(End(ref, _NOT_PUSHED, str(error)))
            return True
        self._waited_s = 0.0
        self._waiting.popleft()
        self.running[ref] = pushed.versioned_ref
        self._notes.write(ref, folder, _RUNNING, pushed.version)
        self._say(f"{ref}: version {pushed.version} pushed, {pushed.url or page_of(ref)}")
        return True

    def _wait_for_room(self, error: SessionsTakenError) -> None:
        if not self._waited_s:
            self._say(f"{error} (It is pushed as soon as there is room.)")
        self._waited_s += self._patience.interval_s
        if self._waited_s > _LONGEST_WAIT_S and not self.running:
            raise error

    def _end(self, end: End) -> None:
        self._ends[end.ref] = end
        self._say(f"{end.ref}: {end.status.lower()}" + (f": {end.message}" if end.message else ""))
        try:
            self._ended(end)
        except MelanomaError as error:
            # One fold whose outputs are not in order does not keep the others from being watched.
            self._ends[end.ref] = End(end.ref, "ERROR", str(error))
            self._say(f"{end.ref}: {error}")


def _versioned(ref: str, version: int) -> str:
    return f"{ref}/{version}" if version else ref
