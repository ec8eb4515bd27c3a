"""Finding near-identical photographs, so that they are never on two sides of a split."""

import os
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pandas as pd

from melanoma.files import write_table
from melanoma.images.hashing import HASH_PIXELS, Bits, from_hex, perceptual_hash
from melanoma.images.index import confirmed_hashes
from melanoma.images.reading import find_images, open_image
from melanoma.remote.opening import local_folder
from melanoma.tables import (
    IMAGE_1,
    IMAGE_2,
    IMAGE_NAME,
    read_duplicates,
    read_labelled,
    train_csv,
)

DISTANCE = "distance"

# Of the 1.1 million pairs of the 1,510 photographs of ISIC 2018's test set, one re-photographed
# lesion has 10 differing bits, the next pairs of one lesion 44 to 60, and pairs of different lesions
# 62 and more; copies at another size or JPEG quality stay below 20.
MOST_DIFFERING_BITS = 40
_BLOCK = 512

Hashes = npt.NDArray[np.bool_]


def find_duplicates(
    data_dir: Path,
    output: Path,
    duplicates: Path | None = None,
    external: Path | None = None,
    prefer_suffix: str | None = None,
) -> Path:
    """Find near-identical photographs and write them as pairs beside the fold file.

    A copy that is turned or mirrored is not found. Photographs that the images.csv of their folder
    knows are not opened.

    Args:
        data_dir: The competition folder with its training photographs.
        output: The fold file that will be made.
        duplicates: Pairs known already; they are taken over.
        external: The train.csv of another year, its photographs beside it.
        prefer_suffix: As of `find_images`.

    Returns:
        The table of pairs (image_name_1, image_name_2, distance in bits of 256), named after the
        fold file.

    Raises:
        TableError, ImageError: If a table or photograph cannot be read.
    """
    data_dir = local_folder(data_dir)
    names: list[str] = []
    paths: list[Path] = []
    known: dict[Path, str] = {}
    for table in [train_csv(data_dir), *([external] if external else [])]:
        of_table = read_labelled(table)[IMAGE_NAME].tolist()
        found = find_images(table.parent, "train", of_table, prefer_suffix)
        names += of_table
        paths += found
        known |= confirmed_hashes(table.parent, found)
    pairs = duplicate_pairs(names, hash_images(paths, known))
    if duplicates is not None:
        pairs = pd.concat([read_duplicates(duplicates), pairs]).drop_duplicates([IMAGE_1, IMAGE_2])
    return write_table(output.with_name(f"{output.stem}_duplicates.csv"), pairs)


def hash_images(paths: Sequence[Path], known: Mapping[Path, str] | None = None) -> Hashes:
    """The perceptual hashes of photographs, shape (n, 256).

    Args:
        paths: The photographs.
        known: Hashes in hexadecimal digits of those that need not be opened.
    """
    digits = known or {}

    def hash_of(path: Path) -> Bits:
        return from_hex(digits[path]) if path in digits else _hash(path)

    with ThreadPoolExecutor(os.cpu_count()) as pool:
        return np.stack(list(pool.map(hash_of, paths)))


def duplicate_pairs(
    names: Sequence[str], hashes: Hashes, most_differing_bits: int = MOST_DIFFERING_BITS
) -> pd.DataFrame:
    """The pairs of photographs whose hashes differ in few bits, the most alike first.

    Args:
        names: Shape (n,).
        hashes: Shape (n, bits).
        most_differing_bits: Up to how many differing bits are near-identical.

    Returns:
        Columns image_name_1, image_name_2, distance.
    """
    rows = [
        (names[first], names[second], distance)
        for first, second, distance in _near_pairs(hashes, most_differing_bits)
    ]
    pairs = pd.DataFrame(rows, columns=[IMAGE_1, IMAGE_2, DISTANCE])
    return pairs.sort_values([DISTANCE, IMAGE_1, IMAGE_2], ignore_index=True)


def _hash(path: Path) -> Bits:
    return perceptual_hash(open_image(path, HASH_PIXELS))


def _near_pairs(hashes: Hashes, most: int) -> Iterator[tuple[int, int, int]]:
    # The scalar product of vectors of +1 and -1 counts equal minus differing bits: blocks of a
    # matrix product, the fastest way to compare all with all without an index.
    signs = np.where(hashes, 1, -1).astype(np.float32)
    n_bits = hashes.shape[1]
    for start in range(0, len(signs), _BLOCK):
        distances = (n_bits - signs[start : start + _BLOCK] @ signs[start:].T) / 2
        near = np.argwhere(distances <= most)
        for first, second in near[near[:, 0] < near[:, 1]]:
            yield int(start + first), int(start + second), int(distances[first, second])
