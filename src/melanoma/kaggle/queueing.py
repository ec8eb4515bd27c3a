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
from melanoma.kaggle.follow import End, Say, Watch, read_log, say_now
from melanoma.kaggle.patience import Patience
from melanoma.kaggle.push import page_of, push_kernel, read_ref
from melanoma.kaggle.service import Kaggle

# Kaggle runs two GPU kernels of an account at a time.
AT_ONCE = 2
# For others of the account to end: as long as a session may last.
_LONGEST_WAIT_S = 12 * 3600
_PUSHING, _RUNNING, _AT_HOME = "pushing", "running", "at home"
_NOT_PUSHED = "NOT PUSHED"
# Of the log of a kernel that has failed.
_SHOWN_LINES = 20


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
    is_home: Callable[[str], bool] = lambda _: True,
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
        ended: Called with each kernel that has run as it ends, to download what it has left.
        is_home: Whether what a kernel has left is still where an earlier call has put it.

    Raises:
        ConfigError: If a folder holds no kernel, or two hold the same.
        KaggleError: If Kaggle stays away. Kernels that run go on.
    """
    kernels = {read_ref(folder): folder for folder in folders}
    if len(kernels) < len(folders):
        raise ConfigError(
            f"{name_some(folders)}: two hold a kernel of the same id; each fold needs its own."
        )
    queue = _Queue(kaggle, kernels, _Notes(state), patience or Patience(), say, ended, is_home)
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
        is_home: Callable[[str], bool],
    ) -> None:
        self._kaggle, self._kernels, self._notes = kaggle, kernels, notes
        self._patience, self._say, self._ended, self._is_home = patience, say, ended, is_home
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
            if status == _AT_HOME and self._is_home(ref):
                self._say(f"{ref}: complete, and at home already")
                self._waiting.remove(ref)
                self._ends[ref] = End(ref, "COMPLETE")
            elif status in ("COMPLETE", _AT_HOME):
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
            self._note_end(End(ref, _NOT_PUSHED, str(error)))
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

    def _note_end(self, end: End) -> None:
        self._ends[end.ref] = end
        self._say(f"{end.ref}: {end.status.lower()}" + (f": {end.message}" if end.message else ""))

    def _end(self, end: End) -> None:
        """Take over what a kernel that has run has left; why it failed stays what is said of it."""
        self._note_end(end)
        if not end.is_complete:
            self._show_log(end.ref)
        try:
            self._ended(end)
        except MelanomaError as error:
            # One fold whose outputs are not in order does not keep the others from being watched.
            self._say(f"{end.ref}: {error}")
            if end.is_complete:
                self._ends[end.ref] = End(end.ref, "NOT FETCHED", str(error))
        else:
            if end.is_complete:
                self._notes.write(end.ref, self._kernels[end.ref], _AT_HOME)

    def _show_log(self, ref: str) -> None:
        try:
            lines = read_log(self._kaggle, ref).splitlines()
        except KaggleError as error:
            self._say(f"{ref}: its log cannot be had: {error}")
            return
        for line in lines[-_SHOWN_LINES:]:
            self._say(f"{ref} | {line}")


def _versioned(ref: str, version: int) -> str:
    return f"{ref}/{version}" if version else ref
