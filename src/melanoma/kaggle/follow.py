"""Following a kernel to its end: how far it is, and what it writes."""

from collections.abc import Callable
from dataclasses import dataclass

from melanoma.kaggle.credentials import redact
from melanoma.kaggle.failures import KaggleError, KernelFailedError, UnreachableError
from melanoma.kaggle.logs import LogPrinter, pieces_of
from melanoma.kaggle.patience import Patience
from melanoma.kaggle.push import page_of
from melanoma.kaggle.service import Kaggle, Status

Say = Callable[[str], None]


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
    kaggle: Kaggle,
    ref: str,
    patience: Patience | None = None,
    say: Say = say_now,
    again: str = "",
) -> End:
    """Show how far a kernel is and what it writes, until it ends.

    The log is streamed; where that is not to be had, it is shown at the end. Kaggle may be away for
    a while. Ctrl-C ends the following, not the kernel.

    Args:
        kaggle: As `connection.connect` gives it.
        ref: `owner/slug`, or `owner/slug/version`.
        patience: How often to look, and how long Kaggle may be away.
        say: Shows a line.
        again: The command that goes on with it, for whoever interrupts this one.

    Raises:
        KaggleError: If Kaggle stays away, or knows no such kernel.
    """
    return _Following(kaggle, ref, patience or Patience(), say).to_the_end(again)


def read_log(kaggle: Kaggle, ref: str) -> str:
    """What a kernel has written, without anything secret.

    Raises:
        KaggleError: If its log cannot be had.
    """
    return redact("".join(pieces_of(kaggle.log(ref))))


class Watch:
    """Looks how kernels are, and bears with Kaggle for a while when it does not answer."""

    def __init__(self, kaggle: Kaggle, patience: Patience, say: Say) -> None:
        self._kaggle, self._patience, self._say = kaggle, patience, say
        self._lapses = 0

    def look(self, ref: str) -> Status | None:
        """How far a kernel is; None where Kaggle does not say for now.

        Raises:
            KaggleError: If it has not said too often, or there is no such kernel.
        """
        try:
            status = self._kaggle.status(ref)
        except UnreachableError as error:
            self._lapses += 1
            if self._lapses >= self._patience.lapses:
                raise
            self._say(f"{error} (Trying again; the kernel is not touched.)")
            return None
        self._lapses = 0
        return status


class _Following:
    def __init__(self, kaggle: Kaggle, ref: str, patience: Patience, say: Say) -> None:
        self._kaggle, self._ref, self._patience, self._say = kaggle, ref, patience, say
        self._watch = Watch(kaggle, patience, say)
        self._log = LogPrinter(say)
        self._can_stream = True
        self._before = ""

    def to_the_end(self, again: str) -> End:
        try:
            status = self._wait()
            self._show_rest()
        except (KeyboardInterrupt, UnreachableError):
            hint = f" Follow it again with: {again}" if again else ""
            self._say(f"{self._ref} goes on at Kaggle: {page_of(self._ref)}.{hint}")
            raise
        return End(self._ref, status.name, status.message)

    def _wait(self) -> Status:
        while True:
            status = self._watch.look(self._ref)
            if status is not None:
                if status.name != self._before:
                    self._say(f"{self._ref}: {status.name.lower().replace('_', ' ')}")
                self._before = status.name
                if status.is_over:
                    return status
                if status.name == "RUNNING" and self._can_stream:
                    self._stream()
            self._patience.sleep(self._patience.interval_s)

    def _stream(self) -> None:
        """Show the log while it is written; a silence ends it, and the status is looked at."""
        self._log.begin()
        try:
            self._kaggle.stream_log(self._ref, self._log.hear)
        except UnreachableError:
            return  # cut off as long-lived connections are; taken up again after the next look
        except KaggleError as error:
            self._can_stream = False
            self._say(f"The log cannot be followed ({error}) It is shown at the end.")

    def _show_rest(self) -> None:
        self._log.begin()
        try:
            for piece in pieces_of(self._kaggle.log(self._ref)):
                self._log.hear(piece)
        except KaggleError as error:
            self._say(f"The rest of the log is not shown: {error}")
