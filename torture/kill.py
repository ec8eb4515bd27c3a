"""`kill -9` at random moments of a run, started again until it ends: the same bytes."""

import shutil
import subprocess
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from commands import Place, finish, kill_tree, must_run, results_of, run, start
from row import Row

EPOCHS = 4
_STEPS = "--checkpoint-every-n-steps=2"
_WATCH_S = 0.002


@dataclass(frozen=True)
class Undisturbed:
    """A run that nobody disturbed.

    Attributes:
        more: Its options beyond the common ones.
        seconds: How long it took to train.
        results: Bytes by file.
        names: Of all its files.
    """

    more: tuple[str, ...]
    seconds: float
    results: dict[str, bytes]
    names: frozenset[str]


@dataclass(frozen=True)
class Round:
    """What one run went through.

    Attributes:
        kills: How often it was killed.
        unfinished: How many kills left a file that is no part of a run: in the middle of a write.
        wrong: What went wrong; empty if nothing did.
    """

    kills: int
    unfinished: int
    wrong: str


def test_kill(place: Place, rounds: int, most_kills: int, seed: int, side_by_side: int) -> Row:
    """Kill runs, start them again, and compare their files with an undisturbed run's.

    Args:
        place: Where.
        rounds: Number of runs.
        most_kills: Each is killed once to so many times.
        seed: Of the moments.
        side_by_side: Runs at a time.
    """
    # What is kept within epochs, and after each alone; a single round has the first.
    kinds = [("undisturbed_steps", _STEPS), ("undisturbed",)][:rounds]
    variants = [_undisturbed(place, *kind) for kind in kinds]

    def one(number: int) -> Round:
        random = np.random.default_rng([seed, number])
        return _round(place, number, variants[number % len(variants)], most_kills, random)

    with ThreadPoolExecutor(side_by_side) as pool:
        made = list(pool.map(one, range(rounds)))
    wrong = [f"round {number}: {one.wrong}" for number, one in enumerate(made) if one.wrong]
    found = (
        f"{rounds - len(wrong)} of {rounds}; {sum(one.kills for one in made)} kills, "
        f"{sum(one.unfinished for one in made)} of them in the middle of a write"
    )
    return Row(
        f"`kill -9` at random moments of a 3-fold run, {rounds} runs",
        "final files byte-identical to the undisturbed run's",
        found,
        not wrong,
        tuple(wrong),
    )


def _undisturbed(place: Place, name: str, *more: str) -> Undisturbed:
    run_dir = place.root / name
    log = place.root / f"{name}.log"
    arguments = place.training(run_dir, EPOCHS, "--fold=all", *more)
    ended = must_run(log, "train_folds", *arguments)
    names = frozenset(_names(run_dir))
    must_run(log, "build_submission", f"--run-dir={run_dir}")
    return Undisturbed(more, ended.seconds, results_of(run_dir), names)


def _round(
    place: Place, number: int, whole: Undisturbed, most_kills: int, random: np.random.Generator
) -> Round:
    run_dir = place.root / f"killed_{number:02d}"
    log = place.root / f"killed_{number:02d}.log"
    # The number of workers may differ from call to call: nothing may depend on it.
    workers = f"--data.num-workers={int(number % 5 == 4)}"
    arguments = place.training(run_dir, EPOCHS, "--fold=all", workers, *whole.more)
    kills = unfinished = 0
    for _ in range(random.integers(1, most_kills, endpoint=True)):
        started = time.monotonic()
        process = start(log, "train_folds", *arguments)
        moment = started + random.uniform(0, whole.seconds)
        if not _kill(process, moment, random.random() < 0.5, run_dir):
            break
        kills += 1
        unfinished += bool(set(_names(run_dir)) - whole.names)
    ended = finish(process, log, started)
    if ended.code not in (0, -9):
        return Round(kills, unfinished, ended.last_words)
    for script, options in [
        ("train_folds", arguments),
        ("build_submission", [f"--run-dir={run_dir}"]),
    ]:
        ended = run(log, script, *options)
        if ended.code:
            return Round(kills, unfinished, f"{script} after {kills} kills: {ended.last_words}")
    differing = _differing(results_of(run_dir), whole.results)
    if not differing:
        shutil.rmtree(run_dir)
    return Round(kills, unfinished, differing and f"after {kills} kills, other bytes: {differing}")


def _kill(
    process: subprocess.Popen[bytes], moment: float, at_a_checkpoint: bool, run_dir: Path
) -> bool:
    """Kill at a moment, or when a checkpoint is touched after it; False where it had ended before."""
    before: list[tuple[str, int, int]] | None = None
    while process.poll() is None:
        late = time.monotonic() >= moment
        touched = sorted(_checkpoints(run_dir)) if late and at_a_checkpoint else None
        if late and (not at_a_checkpoint or (before is not None and touched != before)):
            kill_tree(process)
            return True
        before = touched
        time.sleep(_WATCH_S)
    return False


def _checkpoints(run_dir: Path) -> Iterator[tuple[str, int, int]]:
    for path in run_dir.glob("fold_*/*ckpt*"):
        with suppress(OSError):
            known = path.stat()
            yield str(path), known.st_size, known.st_mtime_ns


def _names(run_dir: Path) -> Iterator[str]:
    # A lock lies there all the time, and says nothing about a write.
    found = run_dir.rglob("*") if run_dir.is_dir() else []
    return (str(path.relative_to(run_dir)) for path in found if "lock" not in path.name)


def _differing(results: dict[str, bytes], wanted: dict[str, bytes]) -> str:
    names = sorted(results.keys() | wanted.keys())
    return ", ".join(name for name in names if results.get(name) != wanted.get(name))
