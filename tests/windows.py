"""The windows of a fold's training in which it may be killed or asked to end, and getting into them."""

import importlib
import os
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import lightning.pytorch as pl
import pytest

from melanoma.run_folder import RunFolder
from melanoma.training.config import RunConfig

EPOCHS = 2
PLAIN = (f"--trainer.max_epochs={EPOCHS}", "--model.dropout=0.2")
# By name: what a checkpoint might miss.
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
# Where it happens: at the begin of a hook of Lightning's, or of a function of ours; and in which call.
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
    "checkpoint, half written": ("melanoma.training.checkpoint_io:_write_to_disk", -1),
    "prediction": ("on_predict_batch_start", 0),
    "folder, half finished": ("melanoma.training.fold:write_json", 0),
}
HOOKS = sorted({place for place, _ in WINDOWS.values() if ":" not in place})
FUNCTIONS = sorted({place for place, _ in WINDOWS.values() if ":" in place})


class Recorder(pl.Callback):
    """Counts the calls of hooks and functions, and does something in one of them.

    Args:
        place: Of `WINDOWS`.
        call: Which call of it, from 0.
        act: What is done.
    """

    def __init__(self, place: str = "", call: int = 0, act: Callable[[], None] = lambda: None):
        self.counts = dict.fromkeys([*HOOKS, *FUNCTIONS], 0)
        self.place, self.call, self.act = place, call, act
        for name in HOOKS:
            setattr(self, name, self._counted(name))

    def _counted(self, name: str) -> Callable[..., None]:
        def count(*_: Any, **__: Any) -> None:
            self.reach(name)

        return count

    def reach(self, name: str, before: Callable[[], object] = lambda: None) -> None:
        """Count a call, and act if it is the one; before it, leave behind what is half done."""
        self.counts[name] += 1
        if name == self.place and self.counts[name] == self.call + 1:
            before()
            self.act()

    @contextmanager
    def watching(self) -> Iterator[None]:
        """Be asked by the functions, too."""
        with pytest.MonkeyPatch.context() as patch:
            for name in FUNCTIONS:
                module, _, function = name.partition(":")
                self._wrap(patch, importlib.import_module(module), function, name)
            yield

    def _wrap(self, patch: pytest.MonkeyPatch, module: Any, function: str, name: str) -> None:
        original = getattr(module, function)

        def wrapped(path: Path, content: Any) -> Any:
            is_bytes = isinstance(content, memoryview)
            half = content[: len(content) // 2] if is_bytes else b'{"half": '
            target = path if is_bytes else path.with_name(f".{path.stem}.1{path.suffix}")
            self.reach(name, lambda: target.write_bytes(half))
            return original(path, content)

        patch.setattr(module, function, wrapped)


def ask_to_end() -> None:
    os.kill(os.getpid(), signal.SIGTERM)


def written(config: RunConfig, fold: int = 0) -> dict[str, bytes]:
    """What has to be the same, to the byte, whatever happened in between."""
    folder = RunFolder(config.run_dir).fold(fold)
    return {
        path.name: path.read_bytes()
        for path in (folder.oof_csv, folder.metrics_csv, folder.epochs_npz)
    }
