"""Make everything go wrong, and see that nothing is lost and nothing is wrong: `make torture`.

Prints a row per test, as docs/reliability.md has them, and exits with code 1 if a goal is missed.
"""

import os
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Literal

ROOT = Path(__file__).resolve().parents[1]
# As of every command it starts, and of what it trains itself.
os.environ["OMP_NUM_THREADS"] = "1"
sys.path[:0] = [str(ROOT / "src"), str(ROOT / "tests")]

from budget import test_budget
from catalogue import test_bad_input
from commands import Place, make_place
from fuzz import test_fuzz
from jsonargparse import ArgumentParser
from kill import test_kill
from moments import test_windows
from rivals import test_rivals
from row import Row, as_table
from writing import KINDS, test_writing

from melanoma.command_line import script

Test = Literal["kill", "writing", "bad_input", "fuzz", "rivals", "budget", "windows"]
Kind = Literal["no space", "no permission", "I/O error"]
ALL: tuple[Test, ...] = ("bad_input", "writing", "rivals", "budget", "windows", "kill", "fuzz")


def torture(
    tests: Sequence[Test] = ALL,
    kill_rounds: int = 50,
    most_kills: int = 2,
    kinds: Sequence[Kind] = ("no space", "no permission", "I/O error"),
    rival_rounds: int = 20,
    window_rounds: int = 20,
    budget_s: int = 60,
    minutes: float = 10.0,
    seed: int = 0,
    side_by_side: int = 2,
    keep: Path | None = None,
) -> list[Row]:
    """Run the tests, printing each row when it is known.

    Args:
        tests: Which.
        kill_rounds: Runs that are killed.
        most_kills: How often each of them is, at most.
        kinds: Of failures to write.
        rival_rounds: How often two processes meet on a run folder.
        window_rounds: Kills, and signals, in each window of a fold's training.
        budget_s: The time limit that is tried, in seconds.
        minutes: Of fuzzing, in all.
        seed: Of all that is random: the same seed, the same moments and damages.
        side_by_side: Commands at a time, each of one thread.
        keep: A folder for what is made; by default one that is removed.
    """
    rows = []
    with tempfile.TemporaryDirectory() as name:
        root = keep or Path(name)
        for test in tests:
            print(f"{test} ...", flush=True)
            started = time.monotonic()
            rows.append(
                {
                    "kill": lambda p: test_kill(p, kill_rounds, most_kills, seed, side_by_side),
                    "writing": lambda p: test_writing(p, kinds, side_by_side),
                    "bad_input": lambda _: test_bad_input(),
                    "fuzz": lambda p: test_fuzz(p.root, 60 * minutes, seed, side_by_side),
                    "rivals": lambda p: test_rivals(p, rival_rounds, seed),
                    "windows": lambda p: test_windows(p, window_rounds, seed, side_by_side),
                    "budget": lambda p: test_budget(p, budget_s),
                }[test](_place(root / test, test))
            )
            print(f"{as_table(rows[-1:])}\n{time.monotonic() - started:.0f} s\n", flush=True)
    return rows


def _place(root: Path, test: Test) -> Place:
    root.mkdir(parents=True)
    if test in ("bad_input", "fuzz"):  # which have their own
        return Place(root, root, root)
    return make_place(root)


@script
def main(arguments: list[str]) -> int:
    """Run what was asked for; 1 if a goal is missed."""
    parser = ArgumentParser(description=__doc__, allow_abbrev=False)
    parser.add_function_arguments(torture, skip={"tests", "kinds"})
    parser.add_argument("--tests", nargs="+", choices=ALL, default=list(ALL))
    parser.add_argument("--kinds", nargs="+", choices=list(KINDS), default=list(KINDS))
    rows = torture(**parser.instantiate(parser.parse_args(arguments)))
    print(as_table(rows))
    return int(any(row.met is False for row in rows))


if __name__ == "__main__":
    sys.exit(main())
