"""Finding, checking and reading photographs."""

import os
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import numpy.typing as npt
from PIL import Image

from melanoma.errors import ConfigError, ImageError, name_some
from melanoma.images.decoding import (
    UNREADABLE,
    decode,
    defect_of,
    name_defects,
    open_header,
    squeeze,
)
from melanoma.images.index import confirmed_hashes
from melanoma.images.layout import SUFFIXES, Split, image_folder
from melanoma.remote.photographs import is_mirror, list_names, status_reader

Pixels = npt.NDArray[np.uint8]

# Bytes from the end in which a whole file has its end marker. Some cameras pad behind it.
_TAIL_BYTES = 256
_END_MARKERS = {"JPEG": b"\xff\xd9", "PNG": b"IEND\xaeB`\x82"}


def find_images(
    data_dir: Path, split: Split, names: Sequence[str], prefer_suffix: str | None = None
) -> list[Path]:
    """Find the photograph of each name in `jpeg/<split>`, `<split>`, or the folder itself.

    Args:
        data_dir: The competition folder, or a folder of photographs.
        split: Which half of the data the names belong to.
        names: Image names without extension.
        prefer_suffix: Which file is meant where a name has several: .jpg, .jpeg or .png.

    Returns:
        A path per name, in their order; .jpg, .jpeg and .png are known, in either case.

    Raises:
        ConfigError: If the suffix is none of them.
        ImageError: If images are missing, or several files could be meant, naming the first five,
            their count and the folder.
    """
    preferred = _known_suffix(prefer_suffix)
    listed = list_names(data_dir, names)  # before the folder is looked for: it makes the folders
    folder = image_folder(data_dir, split)
    found = _images_of(_names_in(folder) if listed is None else listed.get(folder, ()), preferred)
    missing = [name for name in names if name not in found]
    if missing:
        raise ImageError(
            f"{folder}: {len(missing)} of {len(names)} {split} images are missing: "
            f"{name_some(missing)}. Photographs are <image_name>.jpg (or .jpeg, .png) in "
            f"{data_dir}/jpeg/{split}, {data_dir}/{split} or {data_dir}; download or copy them there."
        )
    several = [found[name] for name in names if len(found[name]) > 1]
    if several:
        raise ImageError(
            f"{folder}: {len(several)} of {len(names)} {split} images have several files: "
            f"{name_some(' or '.join(files) for files in several)}. Say which are the photographs "
            "with --prefer-suffix .jpg (of a run: --data.prefer_suffix .jpg), or move the others, "
            "such as masks, to another folder."
        )
    return [folder / found[name][0] for name in names]


def check_images(paths: Sequence[Path], data_dir: Path | None = None) -> None:
    """Check that every photograph is there, is an image, and is whole.

    A file is whole if it ends with the end marker of its format; where it does not, it is decoded
    to know for certain. Headers are read by a few threads: about 10,000 files a second.

    Args:
        paths: The photographs.
        data_dir: Their competition folder. Where it has an images.csv, a file that has exactly the
            bytes listed there is not opened. Where it stands for an address, none is: they are
            fetched when they are read, and only empty ones are found here.

    Raises:
        ImageError: Naming what is wrong with how many images, and the first five of them.
    """
    known = confirmed_hashes(data_dir, paths) if data_dir else {}
    unknown = [path for path in paths if path not in known]
    is_remote = data_dir is not None and is_mirror(data_dir)
    defects = _empty_ones(unknown) if is_remote else _defects_of(unknown)
    if defects:
        raise ImageError(
            f"{paths[0].parent}: {len(defects)} of {len(paths)} images cannot be used. "
            f"{name_defects(defects)}. "
            "Download or copy these files again, or remove their rows from the table."
        )


def read_image(path: Path, size_px: int) -> Pixels:
    """Read a photograph as a square of `size_px`, upright, in RGB.

    The whole photograph is kept: its longer side is squeezed. A JPEG is decoded at the smallest
    of the library's scales (1/1, 1/2, 1/4, 1/8) that is not below the size asked for.

    Returns:
        Shape (size_px, size_px, 3), uint8.

    Raises:
        ImageError: If the file cannot be decoded.
    """
    return np.asarray(squeeze(open_image(path, size_px), size_px))


def open_image(path: Path, side_px: int) -> Image.Image:
    """Decode a photograph, upright, in RGB, at a scale at which no side is below `side_px`.

    Raises:
        ImageError: If the file cannot be decoded.
    """
    try:
        return decode(path, side_px).picture
    except UNREADABLE as error:
        raise ImageError(
            f"{path}: cannot be decoded ({error}). Download or copy this file again."
        ) from error


def ends_whole(path: Path, image_format: str | None) -> bool:
    """Whether a file ends with the end marker of its format ("JPEG", "PNG"; False for any other)."""
    marker = _END_MARKERS.get(image_format or "")
    if marker is None:
        return False
    with path.open("rb") as file:
        file.seek(0, os.SEEK_END)
        file.seek(max(0, file.tell() - _TAIL_BYTES))
        return marker in file.read()


def _names_in(folder: Path) -> list[str]:
    with os.scandir(folder) as entries:
        return [entry.name for entry in entries]


def _known_suffix(suffix: str | None) -> str | None:
    if suffix is None or suffix.lower() in SUFFIXES:
        return suffix and suffix.lower()
    raise ConfigError(f"--prefer-suffix {suffix}: not known. Give one of {', '.join(SUFFIXES)}.")


def _images_of(names: Iterable[str], preferred: str | None) -> dict[str, list[str]]:
    """The files that may be meant by each image name: one, unless it is ambiguous."""
    found: dict[str, list[str]] = {}
    for name in sorted(names):
        stem, suffix = os.path.splitext(name)
        if suffix.lower() in SUFFIXES:
            found.setdefault(stem, []).append(name)
    for stem, files in found.items():
        if preferred and len(files) > 1:
            found[stem] = [name for name in files if name.lower().endswith(preferred)] or files
    return found


def _empty_ones(paths: Sequence[Path]) -> list[tuple[str, str]]:
    status = status_reader()
    return [(path.name, "empty") for path in paths if status(path).n_bytes == 0]


def _defects_of(paths: Sequence[Path]) -> list[tuple[str, str]]:
    with ThreadPoolExecutor(max_workers=min(8, 2 * (os.cpu_count() or 1))) as pool:
        found = zip(paths, pool.map(_defect_of, paths))
        return [(path.name, defect) for path, defect in found if defect]


def _defect_of(path: Path) -> str | None:
    try:
        with open_header(path) as image:
            if not ends_whole(path, image.format):
                image.load()
    except UNREADABLE as error:
        return defect_of(path, error)
    return None
