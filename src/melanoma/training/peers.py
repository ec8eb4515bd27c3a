"""The processes of one fold on several devices: do they see one disk, and has one of them died?"""

import platform
import secrets
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import lightning.pytorch as pl
import torch.distributed
from lightning.pytorch.callbacks import Callback

from melanoma.errors import RunError
from melanoma.files import remove_file, write_text
from melanoma.run_folder import FoldFolder

# Of gloo, NCCL and the store behind them, which have no class of errors in common; as of torch 2.15.
_BROKEN = (
    "Connection closed by peer",
    "Connection reset by peer",
    "remote process exited",
    "Broken pipe",
    "failed to recv",
    "Timed out waiting",
)

# How long a shared disk may take to show on one machine what another has written.
_VISIBLE_S = 5.0
_POLL_S = 0.2


class OneDisk(Callback):
    """Makes sure, before anything is trained, that all processes of a fold see its folder.

    Else those of another machine would find no checkpoint to go on from, or none to predict with
    when all epochs are over.

    Args:
        folder: Of the fold.
    """

    def __init__(self, folder: FoldFolder) -> None:
        self.folder = folder

    def setup(self, trainer: pl.Trainer, pl_module: pl.LightningModule, stage: str) -> None:
        """Have every process look for what the first has written.

        Raises:
            RunError: On all of them, if one does not see it.
        """
        if stage != "fit" or trainer.world_size == 1:
            return
        strategy = trainer.strategy
        token = strategy.broadcast(secrets.token_hex(8))
        mark = self.folder.lock.with_name(f"seen_{token}.json")
        if trainer.is_global_zero:
            write_text(mark, "{}\n")
        strategy.barrier()
        sees = _appears(mark)
        all_see = strategy.reduce_boolean_decision(sees, all=True)
        if trainer.is_global_zero:
            remove_file(mark)
        if not all_see:
            raise RunError(_not_shared(self.folder, sees))


@contextmanager
def peers_explained(title: str, n_processes: int) -> Iterator[None]:
    """Turn a broken connection between the processes of a fold into a message.

    Args:
        title: Of the fold.
        n_processes: How many it has; with one, nothing is explained.

    Raises:
        RunError: Instead of what torch raises.
    """
    try:
        yield
    except RuntimeError as error:
        if n_processes == 1 or not _is_broken_connection(error):
            raise
        raise RunError(
            f"{title}: another of its {n_processes} processes has died or cannot be reached "
            f"({_first_line(error)}). What it said is above; if it said nothing, it was killed, "
            "often for want of memory. The same command goes on from the last checkpoint."
        ) from error


def _appears(path: Path) -> bool:
    deadline = time.monotonic() + _VISIBLE_S
    while not path.is_file():
        if time.monotonic() > deadline:
            return False
        time.sleep(_POLL_S)
    return True


def _not_shared(folder: FoldFolder, sees: bool) -> str:
    run, here = folder.path.parent.resolve(), platform.node()
    who = "another of its machines" if sees else f"this machine ({here})"
    return (
        f"{folder.title}: {who} does not see what its first process has written into {run}. All "
        "machines of a fold need one disk that they share: give --run_dir a folder on it."
    )


def _is_broken_connection(error: RuntimeError) -> bool:
    is_of_backend = isinstance(error, torch.distributed.DistError)
    return is_of_backend or any(text in str(error) for text in _BROKEN)


def _first_line(error: RuntimeError) -> str:
    line = str(error).partition("\n")[0].partition(". This is typically")[0]
    return line.rpartition("] ")[2][:200] if line.startswith("[") else line[:200]
