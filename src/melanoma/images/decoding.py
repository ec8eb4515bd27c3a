"""Decoding photographs of any kind, and saying in a word what is wrong with a broken one."""

import struct
from collections.abc import Iterable
from functools import cache
from io import BytesIO
from pathlib import Path
from typing import NamedTuple

import numpy as np
from PIL import ExifTags, Image, ImageOps, PngImagePlugin, UnidentifiedImageError

from melanoma.errors import name_some
from melanoma.remote.photographs import fetch_photograph

# What Pillow raises for files that are no whole photograph; struct.error for metadata beyond repair.
UNREADABLE = (OSError, ValueError, SyntaxError, struct.error, Image.DecompressionBombError)

# Values of the EXIF orientation of photographs whose sides are exchanged when they are turned upright.
_LYING = (5, 6, 7, 8)

_FILLING = 128
_JPEG_END = b"\xff\xd9"

# The largest cameras have 150 megapixels. Pixels take 4 bytes each, twice while they are converted.
MAX_PIXELS = 200_000_000
# No others are tried: Pillow would run Ghostscript on what is PostScript inside.
_FORMATS = ("JPEG", "PNG", "TIFF", "JPEG2000", "WEBP", "BMP", "GIF", "PPM")

# A PNG may hold more text than the mebibyte that Pillow takes of one chunk; of all it takes 64.
PngImagePlugin.MAX_TEXT_CHUNK = PngImagePlugin.MAX_TEXT_MEMORY

# Pillow's own limit warns from 90 megapixels on; `open_header` has one instead, which refuses.
Image.MAX_IMAGE_PIXELS = None


class Decoded(NamedTuple):
    """A decoded photograph.

    Attributes:
        picture: Upright, RGB, 8 bits a channel, perhaps at a smaller scale.
        width_px: Width of the photograph in full, upright.
        height_px: Its height.
    """

    picture: Image.Image
    width_px: int
    height_px: int


def open_header(path: Path) -> Image.Image:
    """Open a photograph, to be closed by the caller; no pixel of it is decoded yet.

    One that is not here is fetched, where its folder stands for an address.

    Raises:
        OSError: If it is missing or not a photograph.
        DecompressionBombError: If it has more pixels than any camera takes: decoding such a file,
            however small it is, would take all memory.
        RemoteError: If it cannot be fetched.
    """
    try:
        image = Image.open(path, formats=_known_formats())
    except FileNotFoundError:
        content = fetch_photograph(path)
        if content is None:
            raise
        image = Image.open(BytesIO(content), formats=_known_formats())
    if image.width * image.height > MAX_PIXELS:
        image.close()
        raise Image.DecompressionBombError(
            f"{image.width} x {image.height} pixels, more than the limit of "
            f"{MAX_PIXELS // 1_000_000} megapixels"
        )
    return image


def decode(path: Path, side_px: int) -> Decoded:
    """Decode a photograph: upright, 8-bit RGB, whatever its format, depth and colours.

    A JPEG is decoded at the smallest of the library's scales (1/1, 1/2, 1/4, 1/8) at which neither
    side is below `side_px`. Transparency is dropped.

    Raises:
        OSError, ValueError, SyntaxError, struct.error, DecompressionBombError: Those of
            `UNREADABLE`, which `defect_of` names.
    """
    with open_header(path) as image:
        size = image.size
        image.draft("RGB", (side_px, side_px))
        image.load()
        if image.format == "JPEG" and _ends_grey(image) and _lacks_data(path, image, side_px):
            raise OSError("its data end before the picture does")
        if image.getexif().get(ExifTags.Base.Orientation) in _LYING:
            size = size[::-1]
        ImageOps.exif_transpose(image, in_place=True)
        return Decoded(_to_rgb(image), *size)


def _ends_grey(image: Image.Image) -> bool:
    """Whether the last line is what libjpeg puts where data are missing: the middle of all channels."""
    last = image.crop((0, image.height - 1, image.width, image.height))
    return all(low == high == _FILLING for low, high in last.convert("RGB").getextrema())  # type: ignore[misc]


def _lacks_data(path: Path, image: Image.Image, side_px: int) -> bool:
    """Whether a decoder that finds more data than a JPEG has makes another picture of it.

    libjpeg says of data that end too early, with an end mark behind them, only a warning that Pillow
    keeps to itself. A whole picture is done when further data come, and stays as it is.
    """
    content = path.read_bytes() if path.is_file() else fetch_photograph(path) or b""
    end = content.rfind(_JPEG_END)
    more = np.random.default_rng(0).integers(0, 255, 4096, dtype=np.uint8).tobytes()  # none is 0xff
    with Image.open(BytesIO(content[:end] + more + content[end:]), formats=["JPEG"]) as longer:
        longer.draft("RGB", (side_px, side_px))
        longer.load()
        return longer.tobytes() != image.tobytes()


def squeeze(picture: Image.Image, side_px: int) -> Image.Image:
    """Resize a picture to a square, the whole of it: the longer side is squeezed more."""
    return picture.resize((side_px, side_px), Image.Resampling.BICUBIC)


def defect_of(path: Path, error: Exception) -> str:
    """Say in a word or three what is wrong with a photograph that raised one of `UNREADABLE`."""
    if isinstance(error, FileNotFoundError):
        return "missing"
    if path.is_file() and path.stat().st_size == 0:
        return "empty"
    if isinstance(error, Image.DecompressionBombError):
        return f"of {error}"
    if isinstance(error, UnidentifiedImageError):
        return "not an image"
    return "truncated or damaged"


def name_defects(defects: Iterable[tuple[str, str]]) -> str:
    """Name broken photographs by kind, five of each.

    Args:
        defects: The name of each, and what is wrong with it.

    >>> name_defects([("a.jpg", "empty"), ("b.jpg", "missing"), ("c.jpg", "empty")])
    '2 empty: a.jpg, c.jpg; 1 missing: b.jpg'
    """
    kinds: dict[str, list[str]] = {}
    for name, defect in defects:
        kinds.setdefault(defect, []).append(name)
    return "; ".join(f"{len(names)} {kind}: {name_some(names)}" for kind, names in kinds.items())


@cache
def _known_formats() -> tuple[str, ...]:
    # Pillow raises a KeyError for a format that it was built without.
    Image.init()
    return tuple(name for name in _FORMATS if name in Image.OPEN)


def _to_rgb(picture: Image.Image) -> Image.Image:
    if picture.mode == "I" or picture.mode.startswith("I;16"):
        # Pillow's own conversion makes all but the darkest 256 of 65,536 levels white.
        levels = np.asarray(picture) // 256
        picture = Image.fromarray(levels.clip(0, 255).astype(np.uint8))
    return picture if picture.mode == "RGB" else picture.convert("RGB")
