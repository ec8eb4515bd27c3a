"""A place where a training waits, so that a test can act while it is in the middle."""

import time
from pathlib import Path

from lightning.pytorch import LightningModule, Trainer
from lightning.pytorch.callbacks import Callback

_LONGEST_S = 600.0


class Gate(Callback):
    """Holds a fold before its third epoch, when it has a checkpoint, until a file is there."""

    def __init__(self, path: str) -> None:
        self._path = Path(path)

    def on_train_epoch_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        until = time.monotonic() + _LONGEST_S
        while trainer.current_epoch == 2 and not self._path.exists():
            if time.monotonic() > until:
                raise TimeoutError(f"{self._path}: nobody opened it.")
            time.sleep(0.02)
