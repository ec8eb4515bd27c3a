"""Finding, checking and reading photographs."""

import os
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Literal

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageOps, UnidentifiedImageError

from melanoma.errors import ImageError, name_some

Split = Literal["train", "test"]
Pixels = npt.NDArray[np.uint8]

SUFFIXES = (".jpg", ".jpeg", ".png")

# Bytes from the end in which a whole file has its end marker. Some cameras pad behind it.
_TAIL_BYTES = 256
_END_MARKERS = {"JPEG": b"\xff\xd9", "PNG": b"IEND\xaeB`\x82"}


def find_images(data_dir: Path, split: Split, names: Sequence[str]) -> list[Path]:
    """Find the photograph of each name in `jpeg/<split>`, `<split>`, or the folder itself.

    Args:
        data_dir: The competition folder, or a folder of photographs.
        split: Which half of the data the names belong to.
        names: Image names without extension.

    Returns:
        A path per name, in their order; .jpg, .jpeg and .png are known, in either case.

    Raises:
        ImageError: If images are missing, naming the first five, their count and the folder.
    """
    folder = _image_folder(data_dir, split)
    found = _images_in(folder)
    missing = [name for name in names if name not in found]
    if missing:
        raise ImageError(
            f"{folder}: {len(missing)} of {len(names)} {split} images are missing: "
            f"{name_some(missing)}. Photographs are <image_name>.jpg (or .jpeg, .png) in "
            f"{data_dir}/jpeg/{split}, {data_dir}/{split} or {data_dir}; download or copy them there."
        )
    return [folder / found[name] for name in names]


def check_images(paths: Sequence[Path]) -> None:
    """Check that every photograph is there, is an image, and is whole.

    A file is whole if it ends with the end marker of its format; where it does not, it is decoded
    to know for certain. Headers are read by a few threads: about 10,000 files a second.

    Raises:
        ImageError: Naming what is wrong with how many images, and the first five of them.
    """
    with ThreadPoolExecutor(max_workers=min(8, 2 * (os.cpu_count() or 1))) as pool:
        defects = list(pool.map(_defect_of, paths))
    broken: dict[str, list[Path]] = {}
    for path, defect in zip(paths, defects):
        if defect:
            broken.setdefault(defect, []).append(path)
    if broken:
        count = sum(len(of_a_kind) for of_a_kind in broken.values())
        kinds = "; ".join(
            f"{len(of_a_kind)} {defect}: {name_some(path.name for path in of_a_kind)}"
            for defect, of_a_kind in broken.items()
        )
        raise ImageError(
            f"{paths[0].parent}: {count} of {len(paths)} images cannot be used. {kinds}. "
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
    try:
        with Image.open(path) as image:
            image.draft("RGB", (size_px, size_px))
            upright = ImageOps.exif_transpose(image).convert("RGB")
            resized = upright.resize((size_px, size_px), Image.Resampling.BICUBIC)
            return np.asarray(resized)
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError) as error:
        raise ImageError(
            f"{path}: cannot be decoded ({error}). Download or copy this file again."
        ) from error


def _image_folder(data_dir: Path, split: Split) -> Path:
    for folder in (data_dir / "jpeg" / split, data_dir / split):
        if folder.is_dir():
            return folder
    return data_dir


def _images_in(folder: Path) -> dict[str, str]:
    with os.scandir(folder) as entries:
        names = sorted(entry.name for entry in entries)
    stems = ((os.path.splitext(name), name) for name in names)
    return {stem: name for (stem, suffix), name in stems if suffix.lower() in SUFFIXES}


def _defect_of(path: Path) -> str | None:
    try:
        if path.stat().st_size == 0:
            return "empty"
        with Image.open(path) as image:
            if not _ends_whole(path, image.format):
                image.load()
    except FileNotFoundError:
        return "missing"
    except (UnidentifiedImageError, Image.DecompressionBombError):
        return "not an image"
    except (OSError, ValueError, SyntaxError):
        return "truncated or damaged"
    return None


def _ends_whole(path: Path, image_format: str | None) -> bool:
    marker = _END_MARKERS.get(image_format or "")
    if marker is None:
        return False
    with path.open("rb") as file:
        file.seek(0, os.SEEK_END)
        file.seek(max(0, file.tell() - _TAIL_BYTES))
        return marker in file.read()
