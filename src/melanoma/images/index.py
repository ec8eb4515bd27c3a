"""images.csv: what scripts/prepare_images.py knows of its copies, so that nobody opens them again."""

import logging
from collections.abc import Callable, Iterable
from pathlib import Path

import pandas as pd

from melanoma.errors import TableError
from melanoma.remote.photographs import Status, status_reader
from melanoma.tables import BYTES, IMAGE_NAME, INDEX_COLUMNS, PHASH, SPLIT, read_table


def images_csv(data_dir: Path) -> Path:
    """Where a prepared competition folder lists its photographs."""
    return data_dir / "images.csv"


def copy_path(data_dir: Path, split: str, image_name: str) -> Path:
    """Where a prepared competition folder has the copy of a photograph."""
    return data_dir / "jpeg" / split / f"{image_name}.jpg"


def confirmed_hashes(data_dir: Path, paths: Iterable[Path]) -> dict[Path, str]:
    """The perceptual hashes of those photographs that are as images.csv lists them.

    A file is believed to be whole, and its hash to be right, if it has exactly the bytes listed. A
    table that cannot be used is left aside, with a warning: without it everything works, slower.

    Args:
        data_dir: The competition folder; it need not have an images.csv.
        paths: Some of its photographs.

    Returns:
        64 hexadecimal digits by path, for as many as could be confirmed.
    """
    listed = _read_listed(data_dir) if images_csv(data_dir).is_file() else {}
    if not listed:
        return {}
    status = status_reader()
    return {
        path: listed[path][1]
        for path in paths
        if path in listed and _size_bytes(status, path) == listed[path][0]
    }


def _read_listed(data_dir: Path) -> dict[Path, tuple[int, str]]:
    try:
        table = read_table(images_csv(data_dir), INDEX_COLUMNS)
    except TableError as error:
        logging.getLogger(__name__).warning("%s All photographs are opened instead.", error)
        return {}
    table[BYTES] = pd.to_numeric(table[BYTES], errors="coerce")
    usable = table[BYTES].notna() & table[PHASH].str.fullmatch("[0-9a-f]{64}", na=False)
    table = table[usable & table[[IMAGE_NAME, SPLIT]].notna().all(axis=1)]
    # Made once: joining paths would take half of the time for many rows.
    folders = {split: copy_path(data_dir, split, "").parent for split in table[SPLIT].unique()}
    columns = (table[name].tolist() for name in (SPLIT, IMAGE_NAME, BYTES, PHASH))
    return {
        folders[split] / f"{image_name}.jpg": (n_bytes, phash)
        for split, image_name, n_bytes, phash in zip(*columns)
    }


def _size_bytes(status: Callable[[Path], Status], path: Path) -> int | None:
    try:
        return status(path).n_bytes
    except OSError:
        return None
