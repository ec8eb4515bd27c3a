"""Photographs as tensors: their order and their random changes are decided by the seed alone."""

import hashlib
import operator
import os
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import islice
from pathlib import Path
from typing import Any, NamedTuple, TypedDict, cast

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor
from torch.utils.data import Dataset, DistributedSampler, default_collate

from melanoma.images.cache import PixelCache
from melanoma.images.reading import Pixels, read_image
from melanoma.images.transforms import Augmentation
from melanoma.remote.mirror import mirror_above

# By each worker: the time of one request is that of several.
_FETCHED_TOGETHER = 8


class Batch(TypedDict, total=False):
    """What the network is fed: B photographs.

    image: (B, 3, S, S) uint8 RGB, in memory as pixels lie in a photograph (channels last); the
        module scales and normalises it on its device.
    target: (B,) float32: 1 melanoma, 0 not, NaN unknown.
    index: (B,) int64: the row in the table of its dataset, by which predictions are put in order.
    diagnosis: (B,) int64: the class of `melanoma.diagnoses.CLASSES`, -1 unknown; where it is learnt.
    metadata: (B, n) float32: see `melanoma.metadata`; where it is used.
    """

    image: Tensor
    target: Tensor
    index: Tensor
    diagnosis: Tensor
    metadata: Tensor


class Draw(NamedTuple):
    """Which photograph, in which epoch: all that the augmentation of a photograph depends on."""

    epoch: int
    row: int


class MelanomaDataset(Dataset[Batch]):
    """Photographs, read, resized and augmented on demand.

    Args:
        paths: A photograph per row, shape (n,).
        targets: Shape (n,): 1, 0, or NaN where unknown.
        size_px: Side of the square photographs are resized to.
        augmentation: Changes them; None leaves them as they are (validation and test).
        seed: With the epoch and the image name it decides the changes of an image.
        diagnoses: Shape (n,), int64, the class of each image; None if it is not learnt.
        metadata: Shape (n, n_features), float32; None if it is not used.
        cache: Decoded photographs, and the row in it of each of ours; None to read the files.
    """

    def __init__(
        self,
        paths: Sequence[str] | Sequence[Path],
        targets: npt.NDArray[np.float32],
        size_px: int,
        augmentation: Augmentation | None = None,
        seed: int = 0,
        diagnoses: npt.NDArray[np.int64] | None = None,
        metadata: npt.NDArray[np.float32] | None = None,
        cache: tuple[PixelCache, npt.NDArray[np.int64]] | None = None,
    ) -> None:
        # One array, not a list of strings: workers would copy every string that they look at. Of
        # bytes: numpy's strings take four for each letter.
        self.paths = np.array([os.fsencode(path) for path in paths], dtype=np.bytes_)
        self.targets = torch.from_numpy(targets)
        self.size_px = size_px
        self.augmentation = augmentation
        self.seed = seed
        self.diagnoses = None if diagnoses is None else torch.from_numpy(diagnoses)
        self.metadata = None if metadata is None else torch.from_numpy(metadata)
        self.cache = cache
        self.is_remote = cache is None and len(self.paths) > 0 and _is_remote(self._path(0))

    def __len__(self) -> int:
        return len(self.paths)

    def __getitem__(self, draw: Draw | int) -> Batch:
        """The photograph of a draw, without the batch dimension.

        Args:
            draw: Of our own samplers; or a row, as of a plain sampler of torch's, whose augmentation is
                then that of the first epoch. Rows below zero count from the end.

        Raises:
            IndexError: If there is no such row.
            ImageError: If the file cannot be decoded.
            RemoteError: If it is not here and cannot be fetched.
        """
        draw = self._draw(draw)
        return self._item(draw, self._pixels(draw.row))

    def _draw(self, draw: Draw | int) -> Draw:
        if isinstance(draw, Draw):
            return draw
        row = operator.index(draw)
        if not -len(self) <= row < len(self):
            raise IndexError(f"row {row}: there are {len(self)} photographs.")
        return Draw(0, row % len(self))

    def _item(self, draw: Draw, pixels: Pixels) -> Batch:
        if self.augmentation:
            pixels = self.augmentation(pixels, self._key(draw.epoch, self._path(draw.row).stem))
        item: Batch = {
            "image": torch.from_numpy(np.require(pixels, requirements=["C", "W"])).permute(2, 0, 1),
            "target": self.targets[draw.row],
            "index": torch.tensor(draw.row),
        }
        if self.diagnoses is not None:
            item["diagnosis"] = self.diagnoses[draw.row]
        if self.metadata is not None:
            item["metadata"] = self.metadata[draw.row]
        return item

    def __getitems__(self, draws: Sequence[Draw] | Sequence[int]) -> list[Batch]:
        """Those of several draws, as torch asks for a batch; what has to be fetched, together."""
        if not self.is_remote:
            return [self[draw] for draw in draws]
        with ThreadPoolExecutor(_FETCHED_TOGETHER) as pool:
            known = [self._draw(draw) for draw in draws]
            pixels = pool.map(self._pixels, [draw.row for draw in known])
            return [self._item(*pair) for pair in zip(known, pixels)]

    def _pixels(self, row: int) -> Pixels:
        if self.cache is None:
            return read_image(self._path(row), self.size_px)
        cache, rows = self.cache
        return cache[int(rows[row])]

    def _path(self, row: int) -> Path:
        return Path(os.fsdecode(self.paths[row]))

    def _key(self, epoch: int, image_name: str) -> int:
        text = f"{self.seed}/{epoch}/{image_name}".encode()
        return int.from_bytes(hashlib.blake2b(text, digest_size=8).digest(), "big")


def _is_remote(path: Path) -> bool:
    # The first is the competition's own; those of another year, which come last, are here.
    return mirror_above(path.parent) is not None


def collate(items: Sequence[Batch], size: int | None = None) -> Batch:
    """Join items to a batch, its photographs channels last as they are: nothing is transposed.

    Args:
        items: One per photograph.
        size: Of every batch: fewer items are filled up by repeating the last one, which keeps its
            `index`, by which `gather_outputs` knows it again and counts it once. None leaves them.
    """
    filled = [*items, *[items[-1]] * ((size or 0) - len(items))]
    of_rows = [{**item, "image": item["image"].permute(1, 2, 0)} for item in filled]
    batch: Batch = default_collate(of_rows)
    batch["image"] = batch["image"].permute(0, 3, 1, 2)
    return batch


class DrawSampler(DistributedSampler[Draw]):
    """Draws photographs in an order that is a function of seed and epoch alone.

    Torch's own sampler with its padding (so that each of several devices has as many) and its
    `set_epoch`, which Lightning calls; it adds the epoch to each row, so that workers which
    outlive an epoch know it without being told.

    Args:
        weights: Shape (n,), how likely each photograph is drawn, with replacement; None draws each
            once an epoch.
        options: As of torch's DistributedSampler.
    """

    def __init__(
        self,
        dataset: Dataset[Batch],
        weights: npt.NDArray[np.float64] | None = None,
        **options: Any,
    ) -> None:
        super().__init__(dataset, **options)
        self.weights = None if weights is None else weights / weights.sum()
        self.n_skipped = 0

    def __iter__(self) -> Iterator[Draw]:
        """The draws of the epoch; once without the first `n_skipped`, to go on within an epoch."""
        skipped, self.n_skipped = self.n_skipped, 0
        return islice(self.all_draws(), skipped, None)

    def all_draws(self) -> Iterator[Draw]:
        """The draws of the epoch from its start."""
        rows = super().__iter__() if self.weights is None else self._drawn(self.weights)
        return (Draw(self.epoch, int(cast(int, row))) for row in rows)

    def _drawn(self, weights: npt.NDArray[np.float64]) -> Iterator[Any]:
        # The same on every device, each taking its part.
        random = np.random.default_rng((self.seed, self.epoch))
        rows = random.choice(len(weights), size=self.total_size, p=weights)
        return iter(rows[self.rank : self.total_size : self.num_replicas].tolist())
