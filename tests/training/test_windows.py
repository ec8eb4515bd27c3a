"""Killed, or asked to end, in each window of a fold's training: the same bytes in the end."""

from collections.abc import Callable
from pathlib import Path

import lightning.pytorch as pl
import pytest

from melanoma.training.config import RunConfig
from melanoma.training.fold import train_fold
from melanoma.training.stopping import TrainingStopped
from tiny_run import tiny_config
from windows import PLAIN, VARIANTS, WINDOWS, Recorder, ask_to_end, written


class Killed(BaseException):
    """What `kill -9` is to the files: nothing is written any more."""


def kill() -> None:
    raise Killed


@pytest.fixture(scope="module")
def undisturbed() -> dict[str, tuple[dict[str, bytes], dict[str, int]]]:
    return {}


@pytest.fixture
def disturbed(
    competition: Path,
    folds_csv: Path,
    undisturbed: dict[str, tuple[dict[str, bytes], dict[str, int]]],
) -> Callable[[str, str, Callable[[], None]], bool]:
    """Trains a variant, with something done in a window, to its end; False where it has no such."""

    def config_of(variant: str, name: str, callback: pl.Callback | None = None) -> RunConfig:
        run_dir = folds_csv.parents[1] / "runs" / name
        config = tiny_config(competition, folds_csv, *VARIANTS[variant], f"--run_dir={run_dir}")
        config.trainer["callbacks"] = [] if callback is None else [callback]
        return config

    def run(variant: str, window: str, act: Callable[[], None]) -> bool:
        if variant not in undisturbed:
            recorder = Recorder()
            whole = config_of(variant, f"{variant} whole", recorder)
            with recorder.watching():
                train_fold(whole, 0)
            undisturbed[variant] = written(whole), recorder.counts
        wanted, counts = undisturbed[variant]
        hook, call = WINDOWS[window]
        if not -counts[hook] <= call < counts[hook]:
            return False
        name = f"{variant} {window} {act.__name__}"
        recorder = Recorder(hook, call % counts[hook], act)
        try:
            with recorder.watching():
                train_fold(config_of(variant, name, recorder), 0)
        except (Killed, TrainingStopped):
            again = config_of(variant, name)
            train_fold(again, 0)
        assert recorder.counts[hook] >= call % counts[hook] + 1
        assert written(config_of(variant, name)) == wanted, name
        return True

    return run


# One window of each kind: within an epoch, after a validation, after the last epoch, and in writing.
FEW = ("step, done", "validation, done", "last epoch, done", "checkpoint, half written")
# Of the variant with most kinds of windows all; of the others those in which they differ from it. All
# of each, twenty times, with real signals, are torture/windows.py.
TRIED = {
    "epochs": ("step", "end of the last epoch", "last epoch, done"),
    "steps": ("step", "step, done", "last step"),
    "accumulation": ("step", "step, done", "last step"),
    "plateau": ("end of an epoch", "epoch, done"),
    "every second": ("end of an epoch", "epoch, done", "last epoch, done"),
}


@pytest.mark.parametrize(
    ("tried", "act"),
    [
        pytest.param({"validations": FEW}, kill, id="few-kill"),
        pytest.param({"validations": tuple(WINDOWS)}, kill, id="all-kill", marks=pytest.mark.long),
        pytest.param(
            {"validations": tuple(WINDOWS)}, ask_to_end, id="all-ask", marks=pytest.mark.long
        ),
        pytest.param(TRIED, kill, id="others-kill", marks=pytest.mark.long),
        pytest.param(TRIED, ask_to_end, id="others-ask", marks=pytest.mark.long),
    ],
)
def test_every_window_leads_to_the_same_bytes(
    disturbed: Callable[[str, str, Callable[[], None]], bool],
    tried: dict[str, tuple[str, ...]],
    act: Callable[[], None],
) -> None:
    wrong = []
    for variant, window in [
        (name, window) for name, windows in tried.items() for window in windows
    ]:
        if act is ask_to_end and window == "folder, half finished":
            continue  # nobody answers the signal any more: it ends the process, as a kill does
        try:
            if not disturbed(variant, window, act):
                wrong.append(f"{variant}: there is no {window}")
        except AssertionError as error:
            wrong.append(f"{variant}, {window}: {str(error).splitlines()[0]}")
        except SystemExit as error:
            wrong.append(f"{variant}, {window}: {type(error).__name__}")
    assert wrong == []


def test_a_stop_says_where_it_is(
    competition: Path, folds_csv: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for hook, call, place in [
        ("on_train_batch_start", 5, "in epoch 2"),
        ("on_train_epoch_end", 0, "in epoch 2"),
        ("on_train_epoch_end", 1, "after its training"),
    ]:
        run_dir = folds_csv.parents[1] / "runs" / f"{hook} {call}"
        config = tiny_config(competition, folds_csv, *PLAIN, f"--run_dir={run_dir}")
        config.trainer["callbacks"] = [Recorder(hook, call, ask_to_end)]
        with pytest.raises(TrainingStopped):
            train_fold(config, 0)
        assert f"fold 0 stops {place}: asked to end; the same" in capsys.readouterr().out
