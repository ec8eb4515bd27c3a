"""What every script shares: option names, errors as one message, exit codes."""

import io
import os
import re
import select
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from functools import wraps
from types import FrameType
from typing import Any, Protocol

from melanoma.errors import ConfigError, MelanomaError

INTERRUPTED = 130
TERMINATED = 143  # what a shell reports of a process that was ended by SIGTERM
UNREAD = 141  # the same of SIGPIPE

# When the script was started, by `time.monotonic()`: the first thing that every script imports.
STARTED = time.monotonic()

# As disks and Kaggle count them; with an i, as memory is counted.
_UNITS = {"": 1, "k": 10**3, "m": 10**6, "g": 10**9, "t": 10**12}
_BINARY = {"ki": 2**10, "mi": 2**20, "gi": 2**30, "ti": 2**40}


class Terminated(KeyboardInterrupt):
    """SIGTERM, which is answered as Ctrl-C is."""


@contextmanager
def sigterm_as_exit() -> Iterator[None]:
    """Raise `Terminated` where SIGTERM arrives, for the length of a `with` statement."""
    if threading.current_thread() is not threading.main_thread():
        yield  # only the main thread may handle signals
        return

    def leave(_signal: int, _frame: FrameType | None) -> Any:
        raise Terminated

    before = signal.signal(signal.SIGTERM, leave)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


class Main(Protocol):
    """A script's entry point: arguments (by default the command line's) to exit code."""

    def __call__(self, arguments: Sequence[str] | None = None) -> int:
        """Run the script."""


def script(main: Callable[[list[str]], int | None]) -> Main:
    """Turn a function of the command line into a script's `main`, which returns its exit code.

    The function returns its own exit code, or nothing for success. Options may be written with
    hyphens or underscores. What a console cannot show (one of cp1252, or of cron's ASCII) is printed
    as its escape, so that no name and no log ends a script. A `MelanomaError` is printed as one
    message and gives its exit code, by default 2; Ctrl-C gives 130, SIGTERM 143, and an output that
    is no longer read, as by `| head`, 141; anything else is a bug and keeps its traceback.
    """

    @wraps(main)
    def wrapper(arguments: Sequence[str] | None = None) -> int:
        for stream in (sys.stdout, sys.stderr):
            # One whose descriptor was exchanged beneath it may refuse, and stays as it is.
            with suppress(OSError):
                if isinstance(stream, io.TextIOWrapper):
                    stream.reconfigure(errors="backslashreplace")
        try:
            code = main(with_underscores(sys.argv[1:] if arguments is None else arguments))
        except MelanomaError as error:
            print(f"error: {error}", file=sys.stderr)
            return error.exit_code
        except KeyboardInterrupt as reason:
            print("interrupted", file=sys.stderr)
            return TERMINATED if isinstance(reason, Terminated) else INTERRUPTED
        except BrokenPipeError:
            if not _reader_is_gone():
                raise
            return UNREAD
        return UNREAD if _reader_is_gone() else code or 0

    return wrapper


def _reader_is_gone() -> bool:
    """Whether what reads the output has closed it, as head does; what is left then goes nowhere."""
    try:
        sys.stdout.flush()
        # What was too long for the buffer has failed before, and left nothing to flush.
        poll = select.poll()
        poll.register(sys.stdout.fileno(), 0)
        is_gone = any(event & select.POLLERR for _, event in poll.poll(0))
    except BrokenPipeError:
        is_gone = True
    except (AttributeError, OSError, ValueError):  # no file, or a system without poll
        is_gone = False
    if is_gone:
        # Python flushes once more at its end, and would say that it cannot.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    return is_gone


def with_underscores(arguments: Sequence[str]) -> list[str]:
    """Write option names, but not their values, with underscores.

    >>> with_underscores(["--data-dir=my-folder", "--n-folds", "5"])
    ['--data_dir=my-folder', '--n_folds', '5']
    """
    written = []
    for argument in arguments:
        if argument.startswith("--"):
            name, equals, value = argument.partition("=")
            argument = "--" + name[2:].replace("-", "_") + equals + value
        written.append(argument)
    return written


def parse_duration(text: str) -> float:
    """Seconds of a duration such as 8h30m, 45m, 90s or 5400.

    Raises:
        ConfigError: If it is not understood, or not above zero.

    >>> parse_duration("8h30m"), parse_duration("90s"), parse_duration("5400")
    (30600.0, 90.0, 5400.0)
    """
    found = re.fullmatch(r"(?:(\d+)h)?(?:(\d+)m)?(?:(\d+)s?)?", text.strip().lower())
    hours, minutes, seconds = (int(part or 0) for part in found.groups()) if found else (0, 0, 0)
    total = 3600.0 * hours + 60 * minutes + seconds
    if total <= 0:
        raise ConfigError(
            f"--time_budget {text}: not understood. Give hours, minutes and seconds, such as 8h30m, "
            "45m or 90s."
        )
    return total


def parse_bytes(text: str, option: str) -> int:
    """A number of bytes as typed.

    Args:
        text: As typed.
        option: By which it was given.

    Raises:
        ConfigError: If it is not understood, or zero.

    >>> [parse_bytes(text, "--disk_budget") for text in ("19.5GB", "512 MiB", "1000")]
    [19500000000, 536870912, 1000]
    """
    match = re.fullmatch(r"(\d+(?:\.\d+)?)\s*(|[kmgt]i?)b?", text.strip().lower())
    if not match or float(match[1]) == 0:
        raise ConfigError(f"{option} {text}: not understood. Give a size such as 19.5GB or 800MB.")
    return int(float(match[1]) * (_UNITS | _BINARY)[match[2]])
