"""How large the photographs are, from what is known already or from their headers."""

import os
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pandas as pd

from melanoma.errors import MelanomaError
from melanoma.images.decoding import UNREADABLE, open_header
from melanoma.images.index import images_csv
from melanoma.images.reading import find_images
from melanoma.remote.photographs import is_mirror
from melanoma.tables import HEIGHT, IMAGE_NAME, SPLIT, WIDTH, read_table

_UNKNOWN = "unknown"


def photograph_sizes(
    rows: pd.DataFrame, data_dir: Path, prefer_suffix: str | None = None
) -> "pd.Series[str] | None":
    """The size of each photograph, the longer side first, as text.

    From columns width and height of the rows, else images.csv (where the copies are resized, the
    original's size is there), else the headers of the files, some 10,000 of them a second.

    Args:
        rows: With image_name.
        data_dir: The competition folder; it need not be there.
        prefer_suffix: As of `find_images`.

    Returns:
        Of the rows, such as "600 x 450"; None where nothing is known.
    """
    if {WIDTH, HEIGHT} <= set(rows.columns):
        return _as_text(rows[[WIDTH, HEIGHT]])
    if images_csv(data_dir).is_file():
        listed = read_table(images_csv(data_dir), [IMAGE_NAME, SPLIT, WIDTH, HEIGHT])
        listed = listed[listed[SPLIT] == "train"].drop_duplicates(IMAGE_NAME).set_index(IMAGE_NAME)
        known = listed.reindex(rows[IMAGE_NAME])[[WIDTH, HEIGHT]]
        return _as_text(known.set_index(rows.index))
    if not data_dir.is_dir() or is_mirror(data_dir):  # all would have to be fetched
        return None
    try:
        paths = find_images(data_dir, "train", rows[IMAGE_NAME].tolist(), prefer_suffix)
    except MelanomaError:  # without them there is a table less, and the report says so
        return None
    return _as_text(pd.DataFrame(_measure(paths), columns=[WIDTH, HEIGHT], index=rows.index))


def _measure(paths: Sequence[Path]) -> list[tuple[float, float]]:
    with ThreadPoolExecutor(min(8, 2 * (os.cpu_count() or 1))) as pool:
        return list(pool.map(_size_of, paths))


def _size_of(path: Path) -> tuple[float, float]:
    try:
        with open_header(path) as image:
            return image.size
    except UNREADABLE:  # a photograph of unknown size is in a group of its own
        return float("nan"), float("nan")


def _as_text(sizes: pd.DataFrame) -> "pd.Series[str]":
    numbers = pd.DataFrame({name: pd.to_numeric(sizes[name], errors="coerce") for name in sizes})
    known = numbers.notna().all(axis=1)
    whole = numbers.where(known, 0).astype(int)
    longer, shorter = whole.max(axis=1).astype(str), whole.min(axis=1).astype(str)
    names: pd.Series[str] = (longer + " x " + shorter).where(known, _UNKNOWN)
    return names
