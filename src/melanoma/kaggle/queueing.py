"""One kernel per fold: pushed as there is room for them, and watched to their ends."""

import hashlib
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from melanoma.errors import MelanomaError, name_some
from melanoma.files import read_object, sha256_of, write_json
from melanoma.kaggle.client import Client, RetryPolicy, page_of
from melanoma.kaggle.failures import (
    KaggleError,
    NotFoundError,
    SessionsTakenError,
    UnreachableError,
)
from melanoma.kaggle.follow import End, Say, Watch, read_log, say_now

# Kaggle runs two GPU kernels of an account at a time.
AT_ONCE = 2
# For others of the account to end: as long as a session may last.
_LONGEST_WAIT_S = 12 * 3600
_PUSHING, _RUNNING, _AT_HOME, _NOT_PUSHED = "pushing", "running", "at home", "NOT PUSHED"
# Of the log of a kernel that has failed.
_SHOWN_LINES = 20


@dataclass(frozen=True)
class Queued:
    """How the kernels have ended.

    Attributes:
        ends: In the order in which they were given; one that could not be pushed has the status NOT
            PUSHED, one whose outputs could not be taken home NOT FETCHED.
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


class Queue:
    """Pushes kernels, some at a time, and waits for all of them.

    Interrupted and made again, it neither pushes what runs nor what has ended well, as long as
    the folders are the same. One that fails does not keep the others from running.

    Args:
        kaggle: As `client.connect` gives it.
        kernels: The folder of each kernel, by its `owner/slug`.
        state: File in which it is noted what has been pushed.
        fetch: Called with each kernel that has run as it ends, to take home what it has left.
        is_home: Whether what a kernel has left is still where an earlier call has put it.
        policy: How often to look, and how long Kaggle may be away.
        say: Shows a line.
    """

    def __init__(
        self,
        kaggle: Client,
        kernels: Mapping[str, Path],
        state: Path,
        fetch: Callable[[End], object] = lambda _: None,
        is_home: Callable[[str], bool] = lambda _: True,
        policy: RetryPolicy | None = None,
        say: Say = say_now,
    ) -> None:
        self._kaggle, self._kernels, self._state = kaggle, kernels, state
        self._fetch, self._is_home, self._say = fetch, is_home, say
        self._policy = policy or RetryPolicy()
        self._watch = Watch(self._policy, say)
        self._notes = read_object(state)
        self._waiting = deque(kernels)
        self._running: dict[
            str, str
        ] = {}  # the name to ask for, with the version where it is known
        self._ends: dict[str, End] = {}
        self._waited_s = 0.0

    def run(self, at_once: int = AT_ONCE) -> Queued:
        """Push and wait.

        Args:
            at_once: How many may run at a time.

        Raises:
            KaggleError: If Kaggle stays away. Kernels that run go on.
        """
        try:
            self._take_up()
            while self._waiting or self._running:
                for ref in list(self._running):
                    self._look(ref)
                while self._waiting and len(self._running) < at_once and self._push_next():
                    pass
                if self._waiting or self._running:
                    self._policy.sleep(self._policy.interval_s)
        except (KeyboardInterrupt, UnreachableError):
            going_on = name_some(self._running) if self._running else "Nothing"
            self._say(
                f"{going_on} goes on at Kaggle; repeat the command to follow it and to push the rest."
            )
            raise
        return Queued([self._ends[ref] for ref in self._kernels])

    def _take_up(self) -> None:
        """Find what an earlier call has pushed."""
        for ref in self._kernels:
            note = self._noted(ref)
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
                version = note.get("version")
                self._running[ref] = f"{ref}/{version}" if version else ref

    def _is_at_work(self, ref: str) -> bool:
        """Whether a kernel runs, of which a killed call could not note any more that it does."""
        try:
            return not self._kaggle.status(ref).is_over
        except NotFoundError:
            return False

    def _look(self, ref: str) -> None:
        try:
            status = self._watch.ask(lambda: self._kaggle.status(self._running[ref]))
        except UnreachableError:
            raise
        except KaggleError as error:
            del self._running[ref]
            self._end(End(ref, "ERROR", str(error)))
            return
        if status is not None and status.is_over:
            del self._running[ref]
            self._note(ref, status.name)
            self._end(End(ref, status.name, status.message))

    def _push_next(self) -> bool:
        """Push the next kernel; whether another one may be tried at once."""
        ref = self._waiting[0]
        self._note(ref, _PUSHING)
        try:
            pushed = self._kaggle.push(self._kernels[ref], ref)
        except SessionsTakenError as error:
            self._note(ref, _NOT_PUSHED)
            if not self._waited_s:
                self._say(f"{error} (It is pushed as soon as there is room.)")
            self._waited_s += self._policy.interval_s
            if self._waited_s > _LONGEST_WAIT_S and not self._running:
                raise
            return False
        except KaggleError as error:
            self._waiting.popleft()
            if not isinstance(error, UnreachableError):  # then nobody knows: the next call looks
                self._note(ref, _NOT_PUSHED)
            self._say_end(End(ref, _NOT_PUSHED, str(error)))
            return True
        self._waited_s = 0.0
        self._waiting.popleft()
        self._running[ref] = pushed.versioned_ref
        self._note(ref, _RUNNING, pushed.version)
        self._say(f"{ref}: version {pushed.version} pushed, {pushed.url or page_of(ref)}")
        return True

    def _say_end(self, end: End) -> None:
        self._ends[end.ref] = end
        self._say(f"{end.ref}: {end.status.lower()}" + (f": {end.message}" if end.message else ""))

    def _end(self, end: End) -> None:
        """Take over what a kernel that has run has left; why it failed stays what is said of it."""
        self._say_end(end)
        if not end.is_complete:
            self._show_log(end.ref)
        try:
            self._fetch(end)
        except MelanomaError as error:
            # One fold whose outputs are not in order does not keep the others from being watched.
            self._say(f"{end.ref}: {error}")
            if end.is_complete:
                self._ends[end.ref] = End(end.ref, "NOT FETCHED", str(error))
            return
        if end.is_complete:
            self._note(end.ref, _AT_HOME)

    def _show_log(self, ref: str) -> None:
        try:
            lines = read_log(self._kaggle, ref).splitlines()
        except KaggleError as error:
            lines = [f"the log cannot be had: {error}"]
        for line in lines[-_SHOWN_LINES:]:
            self._say(f"{ref} | {line}")

    def _noted(self, ref: str) -> dict[str, Any]:
        """What is noted of a kernel; empty where its folder is not what was pushed."""
        note = self._notes.get(ref)
        is_same = isinstance(note, dict) and note.get("content") == content_of(self._kernels[ref])
        return dict(note) if note and is_same else {}

    def _note(self, ref: str, status: str, version: int = 0) -> None:
        content = content_of(self._kernels[ref])
        self._notes[ref] = {"status": status, "version": version, "content": content}
        write_json(self._state, self._notes)


def content_of(folder: Path) -> str:
    """A checksum of the files of a kernel's folder."""
    files = sorted(path for path in folder.iterdir() if path.is_file())
    return hashlib.sha256(
        "".join(path.name + sha256_of(path) for path in files).encode()
    ).hexdigest()
