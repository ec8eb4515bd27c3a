"""A kill and a signal in each window of a fold's training: the same bytes in the end."""

import importlib
import json
import multiprocessing
import os
import signal
import sys
import traceback
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from commands import Place
from row import Row

if TYPE_CHECKING:
    from melanoma.training.config import RunConfig
    from windows import Recorder

# By name: what is done in the window.
ACTS = {"kill": signal.SIGKILL, "SIGTERM": signal.SIGTERM}
STOPPED = 75


@dataclass(frozen=True)
class Trial:
    """One run that something is done to.

    Attributes:
        number: Of all trials.
        window: Where, of `windows.WINDOWS`.
        act: What, of `ACTS`.
        variant: Of the run, of `windows.VARIANTS`.
        call: In which call of the window's place, from 0.
    """

    number: int
    window: str
    act: str
    variant: str
    call: int


def test_windows(place: Place, rounds: int, seed: int, side_by_side: int) -> Row:
    """Kill, and ask to end, runs of every variant in each window, and let them go on.

    Args:
        place: Where.
        rounds: How often each of the two is done in each window.
        seed: Of the variants and calls that are chosen.
        side_by_side: Runs at a time.
    """
    # Here, so that no child has to.
    importlib.import_module("melanoma.training.fold")
    from windows import VARIANTS

    with ProcessPoolExecutor(side_by_side, multiprocessing.get_context("fork")) as pool:
        counts = dict(zip(VARIANTS, pool.map(partial(_undisturbed, place), VARIANTS), strict=True))
        trials = list(_trials(counts, rounds, seed))
        wrong = [line for line in pool.map(partial(_try, place), trials) if line]
    per_window = {trial.window for trial in trials}
    return Row(
        f"`kill -9` and SIGTERM in each of {len(per_window)} windows of a fold's training, each "
        f"{rounds} times",
        "final files byte-identical to the undisturbed run's",
        f"{len(trials) - len(wrong)} of {len(trials)}",
        not wrong,
        tuple(wrong),
    )


def _trials(counts: dict[str, dict[str, int]], rounds: int, seed: int) -> Iterator[Trial]:
    from windows import WINDOWS

    random = np.random.default_rng(seed)
    number = 0
    for window, (where, call) in WINDOWS.items():
        for act in ACTS:
            for _ in range(rounds):
                # Of a window in the middle any call will do: the place is what counts.
                has = [name for name, of in counts.items() if -of[where] <= call < of[where]]
                variant = str(random.choice(has))
                n_calls = counts[variant][where]
                chosen = int(random.integers(n_calls)) if call > 0 else call % n_calls
                yield Trial(number, window, act, variant, chosen)
                number += 1


def _undisturbed(place: Place, variant: str) -> dict[str, int]:
    from windows import Recorder

    counts = place.root / f"{variant}.json"

    def train() -> None:
        recorder = Recorder()
        _train(place, variant, f"whole {variant}", recorder)
        counts.write_text(json.dumps(recorder.counts))

    code = _in_child(train, place.root / f"whole {variant}.log")
    if code:
        sys.exit(f"{variant}: exit code {code}; see {place.root / f'whole {variant}.log'}")
    found: dict[str, int] = json.loads(counts.read_text())
    return found


def _try(place: Place, trial: Trial) -> str:
    """What went wrong; empty if nothing did."""
    from windows import WINDOWS, Recorder, written

    name = f"{trial.number:04d}"
    log = place.root / f"{name}.log"

    def disturbed() -> None:
        number = ACTS[trial.act]
        recorder = Recorder(
            WINDOWS[trial.window][0], trial.call, lambda: os.kill(os.getpid(), number)
        )
        _train(place, trial.variant, name, recorder)

    code = _in_child(disturbed, log)
    if code and code not in (-ACTS[trial.act], STOPPED):
        return f"{trial}: exit code {code}"
    if code:
        code = _in_child(lambda: _train(place, trial.variant, name), log)
    ours, theirs = (
        written(_config(place, trial.variant, run)) if not code else {}
        for run in (name, f"whole {trial.variant}")
    )
    if code or ours != theirs:
        return f"{trial}: exit code {code}" if code else f"{trial}: other bytes"
    return ""


def _config(place: Place, variant: str, name: str) -> "RunConfig":
    from tiny_run import tiny_config
    from windows import VARIANTS

    more = (*VARIANTS[variant], "--data.batch_size=8", f"--run_dir={place.root / 'runs' / name}")
    return tiny_config(place.data, place.folds_csv, *more)


def _train(place: Place, variant: str, name: str, recorder: "Recorder | None" = None) -> None:
    from melanoma.training.fold import train_fold
    from windows import Recorder

    config = _config(place, variant, name)
    config.trainer["callbacks"] = [] if recorder is None else [recorder]
    with (recorder or Recorder()).watching():
        train_fold(config, 0)


def _in_child(act: Callable[[], None], log: Path) -> int:
    """Do something in a process of its own.

    Returns:
        0, `STOPPED` where a training has stopped as asked, 1 for any other exception; negative for a
        signal.
    """
    from melanoma.training.stopping import TrainingStopped

    pid = os.fork()
    if pid == 0:
        code = 1
        try:
            with log.open("ab", buffering=0) as file:
                os.dup2(file.fileno(), 1)
                os.dup2(file.fileno(), 2)
            signal.signal(signal.SIGTERM, signal.SIG_DFL)
            act()
            code = 0
        except (TrainingStopped, SystemExit):  # Lightning's, of a prediction, is a SystemExit
            code = STOPPED
        except BaseException:  # whatever it is, the log says it and the code
            traceback.print_exc()
        finally:
            sys.stdout.flush()
            os._exit(code)
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
