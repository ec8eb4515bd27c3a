"""The processes that read photographs: how many, and how each keeps out of the others' way."""

import gc
import os
import sys
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from shutil import disk_usage
from typing import Any

import cv2
import lightning.pytorch as pl
import numpy as np
import numpy.typing as npt
import torch
from torch.utils.data import DataLoader, Dataset

from melanoma.images.dataset import Batch, DrawSampler, collate

SHARED_MEMORY = Path("/dev/shm")  # noqa: S108 - torch chooses it, and makes names of its own
_MOST_WORKERS = 8
# torch's prefetch_factor, of each worker.
_READY_BATCHES = 2
# On Linux forked, which Python 3.14 no longer does by itself: a worker starts in no time, and shares
# tables and modules with the process that started it.
_START = "fork" if sys.platform == "linux" else None


def available_cores() -> set[int]:
    """The numbers of the processor cores that this process may use, which may be a share of all."""
    if hasattr(os, "sched_getaffinity"):
        return os.sched_getaffinity(0)
    return set(range(os.cpu_count() or 1))


def default_workers(batch_size: int, image_size_px: int) -> int:
    """One per core that may be used, at most eight, and no more than have room for their batches."""
    room = workers_with_room(batch_size, image_size_px)
    return min(_MOST_WORKERS, len(available_cores()), room)


def workers_with_room(batch_size: int, image_size_px: int) -> int:
    """How many workers can hand over their batches through shared memory; 0 if not even one can.

    A worker that finds no room is killed (SIGBUS). Each has two batches ready, and one is in use.

    Args:
        batch_size: Photographs per step and device.
        image_size_px: Their side, of three bytes a pixel.
    """
    if not SHARED_MEMORY.is_dir():  # it is elsewhere, or without a limit of its own
        return sys.maxsize
    batch_bytes = batch_size * 3 * image_size_px**2
    return max(0, (disk_usage(SHARED_MEMORY).free // batch_bytes - 1) // _READY_BATCHES)


class ResumableLoader(DataLoader[Batch]):
    """A data loader that can go on within an epoch."""

    def __iter__(self) -> Iterator[Batch]:  # type: ignore[override]
        # A generator: workers are asked for nothing before the sampler has been told the epoch.
        yield from super().__iter__()

    def leave_out(self, n_batches: int) -> None:
        """Leave out the first batches of the next epoch that is served, once."""
        sampler: Any = self.sampler
        sampler.n_skipped = n_batches * (self.batch_size or 1)

    def state_dict(self) -> dict[str, int]:
        """Nothing: `leave_out` is told. Lightning takes it as the sign that it can go on."""
        return {}

    def load_state_dict(self, state: dict[str, int]) -> None:
        """As `state_dict`."""


def create_loader(
    dataset: Dataset[Batch],
    trainer: pl.Trainer | None,
    batch_size: int,
    num_workers: int,
    training: bool = False,
    seed: int = 0,
    weights: npt.NDArray[np.float64] | None = None,
    fill_batches: bool = False,
) -> DataLoader[Batch]:
    """The one way in which loaders are made; fewer photographs than a batch are a smaller batch.

    Shuffling and dropping follow from `training`, so that nothing that is evaluated can be shuffled
    or cut: in training the order is random and the odd last batch is dropped.

    Args:
        dataset: Of photographs.
        trainer: Knows how many devices there are, each of which takes its part; None for one.
        batch_size: Photographs per step and device.
        num_workers: Processes that read them.
        training: Whether they are trained on.
        seed: Of the order.
        weights: As of `DrawSampler`.
        fill_batches: Whether the last batch is filled up to the size of all others, for devices that
            compile the network for each size they meet (see `collate`).
    """
    sampler = DrawSampler(
        dataset,
        num_replicas=trainer.world_size if trainer else 1,
        rank=trainer.global_rank if trainer else 0,
        shuffle=training,
        seed=seed,
        weights=weights,
    )
    size = min(batch_size, len(sampler))
    return (ResumableLoader if training else DataLoader)(
        dataset,
        batch_size=size,
        sampler=sampler,
        drop_last=training,
        num_workers=num_workers,
        multiprocessing_context=_START if num_workers else None,
        persistent_workers=num_workers > 0,
        pin_memory=torch.cuda.is_available(),
        worker_init_fn=start_worker,
        collate_fn=partial(collate, size=size) if fill_batches else collate,
    )


def start_worker(_worker: int) -> None:
    """Keep a worker to one thread, and its memory shared with the process that started it."""
    # It is one of as many as there are cores; threads of its own would fight the others'.
    cv2.setNumThreads(0)
    torch.set_num_threads(1)
    # Looking for garbage among tables and modules would write to their pages, and so copy them.
    gc.freeze()
