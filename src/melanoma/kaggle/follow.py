"""Following a kernel to its end: how far it is, and what it writes."""

import json
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import TypeVar

from melanoma.kaggle.client import Client, RetryPolicy, page_of
from melanoma.kaggle.failures import KaggleError, KernelFailedError, UnreachableError
from melanoma.kaggle.guard import own_secrets, redact

Say = Callable[[str], None]
T = TypeVar("T")


@dataclass(frozen=True)
class End:
    """How a kernel has ended.

    Attributes:
        ref: `owner/slug`, with its version where that is known.
        status: COMPLETE, ERROR or CANCEL_ACKNOWLEDGED.
        message: Of a failure.
    """

    ref: str
    status: str
    message: str = ""

    @property
    def is_complete(self) -> bool:
        """Whether it has ended well."""
        return self.status == "COMPLETE"

    def check(self) -> None:
        """Check that it has ended well.

        Raises:
            KernelFailedError: If it has not, with the reason and where to read on.
        """
        if self.is_complete:
            return
        ended = "was cancelled" if self.status.startswith("CANCEL") else "has failed"
        why = f": {self.message.rstrip('.')}" if self.message else ""
        raise KernelFailedError(
            f"{self.ref} {ended}{why}. Its log is at {page_of(self.ref)}; what it has left can still "
            "be downloaded, and a later version can go on from it."
        )


def say_now(text: str) -> None:
    """Print a line at once, also into a pipe."""
    print(text, flush=True)


def follow(
    kaggle: Client,
    ref: str,
    policy: RetryPolicy | None = None,
    say: Say = say_now,
    again: str = "",
) -> End:
    """Show how far a kernel is and what it writes, until it ends.

    The log is streamed; where that is not to be had, it is shown at the end. Kaggle may be away for
    a while. Ctrl-C ends the following, not the kernel.

    Args:
        kaggle: As `client.connect` gives it.
        ref: `owner/slug`, or `owner/slug/version`.
        policy: How often to look, and how long Kaggle may be away.
        say: Shows a line.
        again: The command that goes on with it, for whoever interrupts this one.

    Raises:
        KaggleError: If Kaggle stays away, or knows no such kernel.
    """
    policy = policy or RetryPolicy()
    watch, log = Watch(policy, say), LogPrinter(say)
    can_stream, before = True, ""
    try:
        while True:
            status = watch.ask(lambda: kaggle.status(ref))
            if status is not None:
                if status.name != before:
                    say(f"{ref}: {status.name.lower().replace('_', ' ')}")
                before = status.name
                if status.is_over:
                    break
                if status.name == "RUNNING" and can_stream:
                    can_stream = _stream(kaggle, ref, log, say)
            policy.sleep(policy.interval_s)
        _show_rest(kaggle, ref, log, say)
    except (KeyboardInterrupt, UnreachableError):
        hint = f" Follow it again with: {again}" if again else ""
        say(f"{ref} goes on at Kaggle: {page_of(ref)}.{hint}")
        raise
    return End(ref, status.name, status.message)


def read_log(kaggle: Client, ref: str) -> str:
    """What a kernel has written, without anything secret.

    Raises:
        KaggleError: If its log cannot be had.
    """
    return redact("".join(pieces_of(kaggle.log(ref))))


class Watch:
    """Asks Kaggle how things are, and bears with it for a while when it does not answer.

    Args:
        policy: How often that may be.
        say: Shows a line.
        thing: What is asked about, for the message.
    """

    def __init__(self, policy: RetryPolicy, say: Say, thing: str = "kernel") -> None:
        self._policy, self._say, self._thing = policy, say, thing
        self._lapses = 0

    def ask(self, question: Callable[[], T]) -> T | None:
        """What Kaggle answers; None where it does not, for now.

        Raises:
            KaggleError: If it has not answered too often, or knows no such thing.
        """
        try:
            answer = question()
        except UnreachableError as error:
            self._lapses += 1
            if self._lapses >= self._policy.lapses:
                raise
            self._say(f"{error} (Trying again; the {self._thing} is not touched.)")
            return None
        self._lapses = 0
        return answer


class LogPrinter:
    """Shows what of a log has not been shown yet.

    Kaggle sends a log from its beginning with each connection, and may cut it into other pieces
    when the kernel has ended. So what has been shown is counted in characters, without line ends.
    """

    def __init__(self, say: Say) -> None:
        self._say = say
        self._own = own_secrets()  # once: a log has many lines
        self._shown = 0
        self._heard = 0

    def begin(self) -> None:
        """Expect the log from its beginning."""
        self._heard = 0

    def hear(self, text: str) -> None:
        """Show the lines of a piece that are new."""
        for line in text.splitlines():
            new = line[max(0, self._shown - self._heard) :]
            self._heard += len(line)
            if new and self._heard > self._shown:
                self._shown = self._heard
                self._say(redact(new, self._own))


def pieces_of(log: str) -> list[str]:
    """What a kernel has written, of the log that Kaggle keeps.

    It is a JSON list of objects with stream_name, time and data; anything else is taken as it is.

    >>> pieces_of('[{"stream_name": "stdout", "time": 1.5, "data": "fold 0"}]'), pieces_of("fold 1")
    (['fold 0'], ['fold 1'])
    """
    with suppress(ValueError, TypeError, KeyError):
        return [str(event["data"]) for event in json.loads(log)]
    return [log]


def _stream(kaggle: Client, ref: str, log: LogPrinter, say: Say) -> bool:
    """Show the log while it is written, until a silence; whether it can be streamed again."""
    log.begin()
    try:
        kaggle.stream_log(ref, log.hear)
    except UnreachableError:
        pass  # cut off as long-lived connections are; taken up again after the next look
    except KaggleError as error:
        say(f"The log cannot be followed ({error}) It is shown at the end.")
        return False
    return True


def _show_rest(kaggle: Client, ref: str, log: LogPrinter, say: Say) -> None:
    log.begin()
    try:
        for piece in pieces_of(kaggle.log(ref)):
            log.hear(piece)
    except KaggleError as error:
        say(f"The rest of the log is not shown: {error}")
