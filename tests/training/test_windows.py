"""Killed, or asked to end, in each window of a fold's training: the same bytes in the end."""

import os
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import lightning.pytorch as pl
import pytest

from melanoma.run_folder import FoldFolder, RunFolder
from melanoma.training.config import RunConfig
from melanoma.training.fold import train_fold
from melanoma.training.stopping import TrainingStopped
from tiny_run import tiny_config

EPOCHS = 2
PLAIN = (f"--trainer.max_epochs={EPOCHS}", "--model.dropout=0.2")
# By name: what a checkpoint might miss. Four steps are an epoch.
VARIANTS = {
    "epochs": PLAIN,
    "steps": (*PLAIN, "--checkpoint_every_n_steps=1"),
    "accumulation": (
        *PLAIN,
        "--checkpoint_every_n_steps=1",
        "--trainer.accumulate_grad_batches=2",
        "--model.ema_decay=0.5",
    ),
    "validations": (*PLAIN, "--checkpoint_every_n_steps=1", "--trainer.val_check_interval=2"),
    "plateau": (*PLAIN, "--trainer.max_epochs=5", "--model.schedule=plateau"),
    "every second": (*PLAIN, "--trainer.max_epochs=4", "--trainer.check_val_every_n_epoch=2"),
}
# Hooks of Lightning's at whose begin it happens, and in which of their calls.
WINDOWS = {
    "sanity check": ("on_validation_batch_start", 0),
    "first step": ("on_train_batch_start", 0),
    "step": ("on_train_batch_start", 5),
    "step, done": ("on_train_batch_end", 4),
    "last step": ("on_train_batch_start", -1),
    "end of an epoch": ("on_validation_start", 1),
    "end of the last epoch": ("on_validation_start", -1),
    "validation": ("on_validation_batch_start", -1),
    "validation, done": ("on_validation_end", -1),
    "epoch, done": ("on_train_epoch_end", 0),
    "last epoch, done": ("on_train_epoch_end", -1),
    "training, done": ("on_train_end", 0),
    "prediction": ("on_predict_batch_start", 0),
}


class Killed(BaseException):
    """What `kill -9` is to the files: nothing is written any more."""


class Recorder(pl.Callback):
    """Does something in one call of a hook; counts the calls of all.

    Args:
        hook: Of Lightning's callbacks.
        call: Which call of it, from 0.
        act: What is done.
    """

    def __init__(self, hook: str = "", call: int = 0, act: Callable[[], None] = lambda: None):
        self.counts = dict.fromkeys([name for name, _ in WINDOWS.values()], 0)
        self.hook, self.call, self.act = hook, call, act

        def counted(name: str) -> Callable[..., None]:
            def count(*_: Any, **__: Any) -> None:
                self.counts[name] += 1
                if name == self.hook and self.counts[name] == self.call + 1:
                    self.act()

            return count

        for name in self.counts:
            setattr(self, name, counted(name))


def kill() -> None:
    raise Killed


def ask_to_end() -> None:
    os.kill(os.getpid(), signal.SIGTERM)


def written(config: RunConfig) -> dict[str, bytes]:
    folder: FoldFolder = RunFolder(config.run_dir).fold(0)
    return {path.name: path.read_bytes() for path in (folder.oof_csv, folder.metrics_csv)}


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
            whole = config_of(variant, "whole", recorder)
            train_fold(whole, 0)
            undisturbed[variant] = written(whole), recorder.counts
        wanted, counts = undisturbed[variant]
        hook, call = WINDOWS[window]
        if not -counts[hook] <= call < counts[hook]:
            return False
        name = f"{variant} {window} {act.__name__}"
        recorder = Recorder(hook, call % counts[hook], act)
        try:
            train_fold(config_of(variant, name, recorder), 0)
        except (Killed, TrainingStopped):
            again = config_of(variant, name)
            train_fold(again, 0)
        assert recorder.counts[hook] >= call % counts[hook] + 1
        assert written(config_of(variant, name)) == wanted, name
        return True

    return run


@pytest.mark.parametrize("act", [kill, ask_to_end])
@pytest.mark.parametrize(
    "variant",
    [pytest.param(n, marks=[] if n == "validations" else [pytest.mark.long]) for n in VARIANTS],
)
def test_every_window_leads_to_the_same_bytes(
    disturbed: Callable[[str, str, Callable[[], None]], bool],
    variant: str,
    act: Callable[[], None],
) -> None:
    tried, wrong = [], []
    for window in WINDOWS:
        try:
            if disturbed(variant, window, act):
                tried.append(window)
        except AssertionError as error:
            wrong.append(f"{window}: {str(error).splitlines()[0]}")
        except SystemExit as error:
            wrong.append(f"{window}: {type(error).__name__}")
    assert wrong == []
    assert len(tried) >= 10


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
