"""Checkpoints, written like every other file: beside, then renamed; a failure is one message."""

import io
import os
from pathlib import Path
from typing import Any, BinaryIO

import torch
from lightning.pytorch.plugins.io import CheckpointIO, TorchCheckpointIO

from melanoma.files import write_atomically


class AtomicCheckpointIO(TorchCheckpointIO):
    """Lightning's own, but never with half a checkpoint under the name of a whole one.

    Lightning writes into the system's temporary folder and moves from there, which copies, byte by
    byte, where that is another disk.
    """

    def save_checkpoint(
        self, checkpoint: dict[str, Any], path: str | os.PathLike[str], storage_options: Any = None
    ) -> None:
        """Write a checkpoint to disk, for good, before it takes the place of the earlier one.

        Raises:
            MelanomaError: If it cannot be written, with the bytes needed and free.
        """
        content = io.BytesIO()  # as Lightning does: only so are the bytes known before
        self.write_content(checkpoint, content)
        # Released even where the exception is kept: in a cycle with it, an exported buffer of a BytesIO
        # crashes garbage collection in Python 3.12.0 and 3.12.1 (python/cpython, issue 111049).
        with content.getbuffer() as view:
            write_atomically(Path(path), lambda place: _write_to_disk(place, view), len(view))

    def write_content(self, checkpoint: dict[str, Any], file: BinaryIO) -> None:
        """Write the bytes of a checkpoint."""
        torch.save(checkpoint, file)


def with_atomic_checkpoints(
    plugins: Any, writer: type[AtomicCheckpointIO] = AtomicCheckpointIO
) -> list[Any]:
    """The user's Trainer plugins, and this writer where none of them writes checkpoints."""
    listed = as_list(plugins)
    writes = any(isinstance(plugin, CheckpointIO) for plugin in listed)
    return listed if writes else [*listed, writer()]


def as_list(option: Any) -> list[Any]:
    """An option that Lightning takes as one, several or none."""
    return option if isinstance(option, list) else [option] if option else []


def _write_to_disk(path: Path, content: memoryview) -> None:
    with path.open("wb") as file:
        file.write(content)
        file.flush()
        # Before it is renamed: else a machine that loses power may keep the name without the bytes.
        os.fsync(file.fileno())
