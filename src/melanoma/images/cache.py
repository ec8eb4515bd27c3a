"""Decoded photographs in one file, mapped into memory by every worker of every fold."""

import hashlib
import os
import shutil
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import cached_property, partial
from pathlib import Path
from typing import Any

import numpy as np
from tqdm import tqdm

from melanoma.errors import MelanomaError, name_bytes
from melanoma.files import existing_folder, write_atomically
from melanoma.images.reading import Pixels, read_image
from melanoma.remote.photographs import status_reader

# Part of a file's name: to be raised when read_image gives other pixels than before.
_VERSION = 1


class PixelCache:
    """Photographs as `read_image` gives them, read from a file of bytes.

    The file is mapped, not read: its pages are in memory once, whoever looks at them.

    Args:
        path: Of the file, n * size_px * size_px * 3 bytes.
        size_px: Side of the squares.
    """

    def __init__(self, path: Path, size_px: int) -> None:
        self.path = path
        self.size_px = size_px

    def __getitem__(self, row: int) -> Pixels:
        """Shape (size_px, size_px, 3), uint8; a copy, which may be changed."""
        return np.array(self._pixels[row])

    def __getstate__(self) -> dict[str, Any]:
        # Another process maps the file itself; the pixels are not sent.
        return {"path": self.path, "size_px": self.size_px}

    @cached_property
    def _pixels(self) -> Pixels:
        pixels = np.memmap(self.path, dtype=np.uint8, mode="r")
        return pixels.reshape(-1, self.size_px, self.size_px, 3)


def open_cache(folder: Path, paths: Sequence[Path], size_px: int) -> PixelCache:
    """Open the file of these photographs, made by `fill_cache`."""
    return PixelCache(_file_of(folder, paths, size_px), size_px)


def fill_cache(folder: Path, paths: Sequence[Path], size_px: int) -> PixelCache:
    """Decode photographs, with all cores, into one file; nothing to do where it is there.

    The file is named after what is in it: paths, sizes and times of change of the photographs. If
    one of them changes, another file is made.

    Args:
        folder: Where the file is kept; made where it is missing.
        paths: The photographs, in the order of the rows.
        size_px: Side of the squares they are resized to.

    Raises:
        MelanomaError: If there is not enough space, or the folder cannot be written.
        ImageError: If a photograph cannot be decoded.
    """
    path = _file_of(folder, paths, size_px)
    if not path.exists():
        n_bytes = len(paths) * size_px * size_px * 3
        _check_space(folder, n_bytes)
        write_atomically(
            path, lambda temporary: _decode_into(temporary, paths, size_px, n_bytes), n_bytes
        )
    return PixelCache(path, size_px)


def _file_of(folder: Path, paths: Sequence[Path], size_px: int) -> Path:
    content = hashlib.sha256(f"{_VERSION} {size_px}".encode())
    status = status_reader()
    for path in paths:
        n_bytes, version = status(path)
        content.update(f"\n{path.resolve()} {n_bytes} {version}".encode())
    return folder / f"pixels-{size_px}-{content.hexdigest()[:16]}.u8"


def _check_space(folder: Path, n_bytes: int) -> None:
    free = shutil.disk_usage(existing_folder(folder)).free
    if n_bytes > free:
        raise MelanomaError(
            f"--data.cache {folder}: the decoded photographs need {name_bytes(n_bytes)}, "
            f"{name_bytes(free)} are free. Remove older pixels-*.u8 files there, choose another "
            "folder or a smaller --data.image_size, or leave the option out."
        )


def _decode_into(path: Path, paths: Sequence[Path], size_px: int, n_bytes: int) -> None:
    with path.open("wb") as file, ThreadPoolExecutor(os.cpu_count()) as pool:
        if hasattr(os, "posix_fallocate"):
            # All of it now: a disk that fills up later would kill whoever reads the mapped file.
            os.posix_fallocate(file.fileno(), 0, max(1, n_bytes))
        # Each thread writes its own rows, so that none of them wait in memory.
        write = partial(_decode_row, file.fileno(), paths, size_px)
        written = pool.map(write, range(len(paths)))
        try:
            list(tqdm(written, "decoding", len(paths), unit="image", disable=None))
        except BaseException:
            pool.shutdown(cancel_futures=True)
            raise


def _decode_row(file: int, paths: Sequence[Path], size_px: int, row: int) -> None:
    pixels = read_image(paths[row], size_px).tobytes()
    os.pwrite(file, pixels, row * len(pixels))
