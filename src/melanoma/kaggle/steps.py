"""The steps of a kernel: the very scripts, as processes, each with its command line in the log."""

import shlex
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from melanoma.children import Child
from melanoma.errors import MelanomaError

# scripts/train_folds.py gives its folds half a minute to write their checkpoints.
_GRACE_S = 60.0
_TIME_UP = 124  # as of timeout(1)


class StepError(MelanomaError):
    """A step has failed.

    Attributes:
        code: Its exit code.
    """

    def __init__(self, message: str, code: int) -> None:
        super().__init__(message)
        self.code = code


def run_step(command: Sequence[str], folder: Path, deadline: float | None = None) -> None:
    """Run a script to its end. Where this process is asked to end, so is the step, first.

    Args:
        command: The script and its options.
        folder: In which it runs.
        deadline: When it has to have ended, by `time.monotonic()`; None for never.

    Raises:
        StepError: If it fails, with its exit code, or does not end in time.
    """
    print(f"$ python {shlex.join(command)}", flush=True)
    timeout = None if deadline is None else max(0.0, deadline - time.monotonic())
    try:
        with Child([sys.executable, *command], _GRACE_S, cwd=folder) as process:
            code = process.wait(timeout)
    except subprocess.TimeoutExpired:
        raise StepError(f"{command[0]} has not ended in time. Push with a longer time budget, or for "
                        "fewer folds.", _TIME_UP) from None  # fmt: skip
    if code:
        code = 128 - code if code < 0 else code  # ended by a signal, as a shell counts it
        raise StepError(
            f"{command[0]} has failed with exit code {code}; the reason is above.", code
        )
