"""The processes of one fold on several devices: what is said when one of them has died."""

from collections.abc import Iterator
from contextlib import contextmanager

import torch.distributed

from melanoma.errors import RunError

# Of gloo, NCCL and the store behind them, which have no class of errors in common; as of torch 2.15.
_BROKEN = (
    "Connection closed by peer",
    "Connection reset by peer",
    "remote process exited",
    "Broken pipe",
    "failed to recv",
    "Timed out waiting",
)


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


def _is_broken_connection(error: RuntimeError) -> bool:
    is_of_backend = isinstance(error, torch.distributed.DistError)
    return is_of_backend or any(text in str(error) for text in _BROKEN)


def _first_line(error: RuntimeError) -> str:
    line = str(error).partition("\n")[0].partition(". This is typically")[0]
    return line.rpartition("] ")[2][:200] if line.startswith("[") else line[:200]
