"""The catalogue of bad input, as tests/test_bad_input.py has it."""

import re
import subprocess
import sys

from commands import ENVIRONMENT, ROOT
from row import Row

LEAST = 60


def test_bad_input() -> Row:
    """Run the catalogue and count its cases."""
    command = [
        *(sys.executable, "-m", "pytest", "tests/test_bad_input.py", "-rf"),
        *("-p", "no:cacheprovider", "-k", "bad_input_is_one_message"),
    ]
    done = subprocess.run(command, capture_output=True, text=True, env=ENVIRONMENT, cwd=ROOT)
    lines = done.stdout.splitlines()
    counts = {kind: int(n) for n, kind in re.findall(r"(\d+) (\w+)", lines[-1] if lines else "")}
    passed, total = counts.get("passed", 0), sum(map(counts.get, _KINDS & counts.keys()))
    wrong = tuple(line for line in lines if line.startswith(("FAILED", "ERROR")))
    return Row(
        f"the catalogue of bad input, {total} cases",
        f"at least {LEAST}; each exit code 2, one message, no traceback, before training",
        f"{passed} of {total}",
        done.returncode == 0 and passed == total >= LEAST,
        wrong,
    )


_KINDS = {"passed", "failed", "errors", "error"}
