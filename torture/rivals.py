"""Two processes on one run folder: one trains, the other is told who does, and stops."""

import socket
import time
from pathlib import Path

import numpy as np
from commands import Ended, Place, finish, results_of, start
from row import Row

EPOCHS = 2


def test_rivals(place: Place, rounds: int, seed: int) -> Row:
    """Start two of the same command a moment apart, many times.

    Args:
        place: Where.
        rounds: How many times.
        seed: Of the moments between the two starts.
    """
    wanted: dict[str, bytes] = {}
    wrong = []
    for number in range(rounds):
        random = np.random.default_rng([seed, number])
        run_dir = place.root / f"contested_{number:02d}"
        problem = _judge(*_race(place, run_dir, random.uniform(0, 1.5)))
        results = results_of(run_dir)
        wanted = wanted or results
        if not problem and (results != wanted or not results):
            problem = "the winner's files differ from another round's"
        if problem:
            wrong.append(f"round {number}: {problem}")
    return Row(
        f"two processes on one run folder, {rounds} times",
        "one winner, one clear refusal",
        f"{rounds - len(wrong)} of {rounds}",
        not wrong,
        tuple(wrong),
    )


def _race(place: Place, run_dir: Path, pause_s: float) -> list[Ended]:
    logs = [run_dir.with_suffix(f".{number}.log") for number in (1, 2)]
    arguments = place.training(run_dir, EPOCHS, "--fold=0")
    started, processes = time.monotonic(), []
    for log in logs:
        processes.append(start(log, "train_folds", *arguments))
        time.sleep(pause_s)
    return [finish(process, log, started) for process, log in zip(processes, logs, strict=True)]


def _judge(first: Ended, second: Ended) -> str:
    winner, loser = sorted((first, second), key=lambda ended: ended.code)
    if (winner.code, loser.code) != (0, 2):
        return f"exit codes {winner.code} and {loser.code}: {loser.last_words}"
    naming = [line for line in loser.errors if socket.gethostname() in line]
    if len(naming) != 1 or "Traceback" in loser.output:
        return f"no single message names the holder: {loser.last_words}"
    return ""
