"""What folds say on other machines, brought to this one line by line, in order and to the last."""

import sys
from collections.abc import Callable
from typing import Any


class Lines:
    """Keeps what tasks say until it is fetched: as an actor of Ray on the machine of the call."""

    def __init__(self) -> None:
        self._said: list[tuple[bool, str]] = []
        self._begun: dict[str, str] = {}

    def say(self, is_error: bool, line: str) -> None:
        """Take a line."""
        self._said.append((is_error, line))

    def begin(self, name: str, host: str) -> None:
        """Say that a task begins; or, for the second time, that its machine was lost."""
        before = self._begun.get(name)
        self._begun[name] = host
        text = f"{name} begins on {host}"
        if before is not None:
            text = (
                f"{name}: what trained it on {before} is gone; begins again on {host}, from the last "
                "checkpoint there is"
            )
        self.say(False, text)

    def forget(self, name: str) -> None:
        """Note that a task has ended well or not: if it begins again, it is another one."""
        self._begun.pop(name, None)

    def fence(self) -> None:
        """Done after what the same task has said before: calls of one are kept in order."""

    def fetch(self) -> list[tuple[bool, str]]:
        """What was said since it was last fetched."""
        said, self._said = self._said, []
        return said


def print_lines(said: list[tuple[bool, str]]) -> None:
    """Print what was said where a process here would print it."""
    for is_error, line in said:
        print(line, file=sys.stderr if is_error else sys.stdout, flush=True)


def sayer(actor: Any, prefix: str) -> Callable[[bool, str], None]:
    """What a task says its lines with."""
    start = f"{prefix} " if prefix else ""

    def say(is_error: bool, line: str) -> None:
        actor.say.remote(is_error, f"{start}{line}")

    return say


def in_one_line(error: Exception) -> str:
    """The beginning of what an error says, which may be a traceback of another machine.

    >>> in_one_line(ValueError("a   b"))
    'a b'
    """
    return " ".join(str(error).split())[:400]
