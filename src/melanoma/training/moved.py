"""A fold that goes on in another folder than it began in: brought home, copied, on another machine."""

from pathlib import Path
from typing import Any

import lightning.pytorch as pl
from lightning.pytorch.callbacks import Callback


class MovedFolder(Callback):
    """Tells the callbacks that write checkpoints where those they know are now.

    Lightning forgets which was the best where the folder has another name
    (`ModelCheckpoint.load_state_dict`, 2.6), so that a worse epoch would take its place.

    Args:
        folder: Of the fold, where it is now.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder.expanduser().resolve()  # as Lightning does

    def on_load_checkpoint(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, checkpoint: dict[str, Any]
    ) -> None:
        """Before the callbacks get their states."""
        states = checkpoint.get("callbacks", {})
        folders = [Path(state["dirpath"]) for state in states.values() if state.get("dirpath")]
        if not folders:
            return
        before = min(folders, key=lambda path: len(path.parts))  # others are inside it
        for name, state in states.items():
            if state.get("dirpath"):
                states[name] = {
                    key: _moved(value, before, self.folder) for key, value in state.items()
                }


def _moved(value: Any, before: Path, now: Path) -> Any:
    if isinstance(value, dict):
        return {_moved(key, before, now): content for key, content in value.items()}
    if isinstance(value, str) and value and Path(value).is_relative_to(before):
        return str(now / Path(value).relative_to(before))
    return value
