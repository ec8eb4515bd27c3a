"""Finding near-identical photographs, so that they are never on two sides of a split."""

import os
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import imagehash
import numpy as np
import numpy.typing as npt
import pandas as pd
from PIL import Image

from melanoma.files import write_table
from melanoma.images.reading import find_images, read_image
from melanoma.tables import (
    IMAGE_1,
    IMAGE_2,
    IMAGE_NAME,
    read_duplicates,
    read_labelled,
    train_csv,
)

DISTANCE = "distance"

# Perceptual hashes of 16 x 16 bits from a discrete cosine transform of 64 x 64 pixels. Of the 1.1
# million pairs of the 1,510 photographs of ISIC 2018's test set, one re-photographed lesion has 10
# differing bits, the next pairs of one lesion 46 to 60, and pairs of different lesions 62 and more;
# copies at another size or JPEG quality stay below 20. (imagehash's `phash`, after Zauner 2010.)
HASH_SIDE = 16
MOST_DIFFERING_BITS = 40
_PIXELS = 4 * HASH_SIDE
_BLOCK = 512

Hashes = npt.NDArray[np.bool_]


def find_duplicates(
    data_dir: Path, output: Path, duplicates: Path | None = None, external: Path | None = None
) -> Path:
    """Find near-identical photographs and write them as pairs beside the fold file.

    A copy that is turned or mirrored is not found.

    Args:
        data_dir: The competition folder with its training photographs.
        output: The fold file that will be made.
        duplicates: Pairs known already; they are taken over.
        external: The train.csv of another year, its photographs beside it.

    Returns:
        The table of pairs (image_name_1, image_name_2, distance in bits of 256), named after the
        fold file.

    Raises:
        TableError, ImageError: If a table or photograph cannot be read.
    """
    names: list[str] = []
    paths: list[Path] = []
    for table in [train_csv(data_dir), *([external] if external else [])]:
        of_table = read_labelled(table)[IMAGE_NAME].tolist()
        names += of_table
        paths += find_images(table.parent, "train", of_table)
    pairs = duplicate_pairs(names, hash_images(paths))
    if duplicates is not None:
        pairs = pd.concat([read_duplicates(duplicates), pairs]).drop_duplicates([IMAGE_1, IMAGE_2])
    return write_table(output.with_name(f"{output.stem}_duplicates.csv"), pairs)


def hash_images(paths: Sequence[Path]) -> Hashes:
    """The perceptual hashes of photographs, shape (n, 256)."""
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        return np.stack(list(pool.map(_hash, paths)))


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


def _hash(path: Path) -> npt.NDArray[np.bool_]:
    picture = Image.fromarray(read_image(path, _PIXELS))
    bits: npt.NDArray[np.bool_] = imagehash.phash(picture, hash_size=HASH_SIDE).hash.ravel()
    return bits


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
