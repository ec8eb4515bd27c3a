"""Damaged and odd files for every reader, in processes of limited memory and time."""

import json
import signal
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from commands import ENVIRONMENT, ROOT
from row import Row

# The readers that the goal is about get more of the time; also how often each comes up.
SHARES = {"images": 3, "tables": 3, "configs": 2, "weights": 1, "run files": 1, "safetensors": 1}
_ENDS = {-signal.SIGALRM: "hang", -signal.SIGKILL: "killed"}


@dataclass
class Fuzzed:
    """What fuzzing one reader came to.

    Attributes:
        name: Of the reader.
        cases: How many files it was given.
        peak_mb: Memory at its highest, with that of the libraries.
        wrong: What should not have come out, by its kind, with the file that caused it.
    """

    name: str
    cases: int = 0
    peak_mb: int = 0
    wrong: dict[str, str] = field(default_factory=dict)


def test_fuzz(root: Path, seconds: float, seed: int, side_by_side: int) -> Row:
    """Fuzz every reader for its share of the time.

    Args:
        root: Where the files are written, those that found something under `found`.
        seconds: In all, over all readers.
        seed: Of all that is random.
        side_by_side: Readers at a time.
    """
    whole = sum(SHARES.values())

    def one(name: str) -> Fuzzed:
        folder = root / name.replace(" ", "_")
        return _fuzz(name, folder, seconds * SHARES[name] / whole, seed)

    with ThreadPoolExecutor(side_by_side) as pool:
        fuzzed = list(pool.map(one, SHARES))
    details = [f"{one.name}: {what} ({file})" for one in fuzzed for what, file in one.wrong.items()]
    counted = ", ".join(f"{one.cases:,} {one.name}" for one in fuzzed)
    return Row(
        f"random and damaged files, {seconds / 60:.1f} minutes",
        "no crash without a clear message, no hang, no memory above 2 GB",
        f"{len(details)} kinds of failure; {counted}; "
        f"peak {max(one.peak_mb for one in fuzzed):,} MB",
        not details and all(one.cases for one in fuzzed),
        tuple(details),
    )


def _fuzz(name: str, folder: Path, seconds: float, seed: int) -> Fuzzed:
    folder.mkdir(parents=True)
    left = seconds
    fuzzed = Fuzzed(name)
    while left > 0:
        command = [
            *(sys.executable, str(ROOT / "torture" / "fuzz_child.py"), name, str(folder)),
            *(str(seed), str(fuzzed.cases), str(left)),
        ]
        code = subprocess.run(command, env=ENVIRONMENT, cwd=folder, check=False).returncode
        before = fuzzed.cases
        # A second at least, so that what never gets anywhere ends too.
        left -= max(1.0, _take_up(fuzzed, folder))
        if code:
            # The file of the case that ended the process is still there.
            what = _ENDS.get(-abs(code), f"the process ended with code {code}")
            fuzzed.wrong.setdefault(what, f"case {fuzzed.cases}")
            fuzzed.cases += 1
        if fuzzed.cases == before:
            fuzzed.wrong.setdefault("no case was made", str(folder))
            break
    return fuzzed


def _take_up(fuzzed: Fuzzed, folder: Path) -> float:
    progress = folder / "progress.json"
    if not progress.is_file():
        return 0.0
    known: dict[str, Any] = json.loads(progress.read_text())
    fuzzed.cases, fuzzed.peak_mb = known["cases"], max(fuzzed.peak_mb, known["peak_mb"])
    fuzzed.wrong.update(known["wrong"])
    progress.unlink()
    return float(known["seconds"])
