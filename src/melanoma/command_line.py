"""What every script shares: option names, errors as one message, exit codes."""

import sys
import time
from collections.abc import Callable, Sequence
from functools import wraps
from typing import Protocol

from melanoma.errors import MelanomaError

USER_ERROR = 2
INTERRUPTED = 130
TERMINATED = 143  # what a shell reports of a process that was ended by SIGTERM

# When the script was started, by `time.monotonic()`: the first thing that every script imports.
STARTED = time.monotonic()


class Terminated(KeyboardInterrupt):
    """SIGTERM, which is answered as Ctrl-C is."""


class Main(Protocol):
    """A script's entry point: arguments (by default the command line's) to exit code."""

    def __call__(self, arguments: Sequence[str] | None = None) -> int:
        """Run the script."""


def script(main: Callable[[list[str]], int | None]) -> Main:
    """Turn a function of the command line into a script's `main`, which returns its exit code.

    The function returns its own exit code, or nothing for success. Options may be written with
    hyphens or underscores. A `MelanomaError` is printed as one message and gives exit code 2;
    Ctrl-C gives 130, SIGTERM 143; anything else is a bug and keeps its traceback.
    """

    @wraps(main)
    def wrapper(arguments: Sequence[str] | None = None) -> int:
        try:
            code = main(with_underscores(sys.argv[1:] if arguments is None else arguments))
        except MelanomaError as error:
            print(f"error: {error}", file=sys.stderr)
            return USER_ERROR
        except KeyboardInterrupt as reason:
            print("interrupted", file=sys.stderr)
            return TERMINATED if isinstance(reason, Terminated) else INTERRUPTED
        return code or 0

    return wrapper


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
