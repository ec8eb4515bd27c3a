"""The process that is fuzzed: NAME FOLDER SEED FIRST_CASE SECONDS."""

import json
import logging
import resource
import signal
import sys
import time
import traceback
import warnings
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT / "src"), str(ROOT / "tests")]

import numpy as np
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import seed as with_seed

from fuzzing import Surface, damage, surfaces
from odd_input import STRATEGIES

MOST_BYTES = 2_000_000_000
LONGEST_S = 10.0
# Every so many cases, one batch of odd but well-formed ones.
BATCH = 25
_EVERY_S = 1.0


class Fuzzer:
    """Gives a reader file after file, and keeps those that it does not take well.

    Args:
        surface: The reader.
        folder: Where its files are.
        seed: Of all that is random.
        first: Number of the first case.
    """

    def __init__(self, surface: Surface, folder: Path, seed: int, first: int) -> None:
        self.surface = surface
        self.folder = folder
        self.seed = seed
        self.cases = first
        self.wrong: dict[str, str] = {}
        self.started = self.written = time.monotonic()

    def run(self, seconds: float) -> None:
        """Go on for a time."""
        self.started = time.monotonic()
        strategy = STRATEGIES.get(self.surface.name)
        while time.monotonic() < self.started + seconds:
            random = np.random.default_rng([self.seed, self.cases])
            if strategy is not None and self.cases % BATCH == 0:
                self._guard(lambda: self._odd(strategy))
            else:
                first, other = random.integers(len(self.surface.seeds), size=2)
                seeds = self.surface.seeds
                content = damage(seeds[first], seeds[other], random)
                self._guard(lambda content=content: self._read(content))
            self._note()
        self._note(now=True)

    def _odd(self, strategy) -> None:  # type: ignore[no-untyped-def]
        @with_seed(self.seed * 1_000_003 + self.cases)
        @settings(
            max_examples=BATCH,
            deadline=None,
            database=None,
            phases=[Phase.generate],
            suppress_health_check=list(HealthCheck),
        )
        @given(strategy)
        def reads(content: bytes) -> None:
            self._read(content)

        reads()

    def _read(self, content: bytes) -> None:
        # Without a handler the signal ends the process: also code that Python does not interrupt.
        signal.setitimer(signal.ITIMER_REAL, LONGEST_S)
        try:
            self.surface.read(self.folder, content)
        finally:
            signal.setitimer(signal.ITIMER_REAL, 0)

    def _guard(self, case) -> None:  # type: ignore[no-untyped-def]
        self.cases += 1
        try:
            case()
        except BaseException as error:
            if isinstance(error, KeyboardInterrupt):
                raise
            self._keep(error)

    def _keep(self, error: BaseException) -> None:
        frames = traceback.extract_tb(error.__traceback__)
        ours = [frame for frame in frames if "/src/melanoma/" in frame.filename]
        frame = (ours or frames)[-1]
        kind = f"{type(error).__name__} at {Path(frame.filename).name}:{frame.lineno}"
        if kind not in self.wrong:
            found = self.folder / "found"
            found.mkdir(exist_ok=True)
            kept = found / f"{self.cases:07d}-{self.surface.file_name}"
            path = self.folder / self.surface.file_name
            kept.write_bytes(path.read_bytes() if path.is_file() else b"")
            kept.with_suffix(".txt").write_text(
                "".join(traceback.format_exception(error)), errors="replace"
            )
            self.wrong[kind] = f"{str(error)[:100]!r}, case {self.cases}"

    def _note(self, now: bool = False) -> None:
        if not now and time.monotonic() - self.written < _EVERY_S:
            return
        self.written = time.monotonic()
        peak_mb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1000
        if peak_mb * 1_000_000 > MOST_BYTES:
            self.wrong["memory above 2 GB"] = f"{peak_mb} MB, case {self.cases}"
        content: dict[str, object] = {"cases": self.cases, "peak_mb": peak_mb, "wrong": self.wrong}
        content["seconds"] = self.written - self.started
        (self.folder / "progress.json").write_text(json.dumps(content))


def main(name: str, folder: str, seed: str, first: str, seconds: str) -> None:
    """Fuzz one reader for a time."""
    warnings.simplefilter("ignore")
    logging.disable()
    known = {surface.name: surface for surface in surfaces(Path(folder))}
    # Data, not address space: libraries map far more than they use.
    resource.setrlimit(resource.RLIMIT_DATA, (MOST_BYTES, MOST_BYTES))
    Fuzzer(known[name], Path(folder), int(seed), int(first)).run(float(seconds))


if __name__ == "__main__":
    main(*sys.argv[1:])
