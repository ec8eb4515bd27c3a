"""Photographs as data URIs, all of them within a budget of bytes."""

import base64
from collections.abc import Callable, Sequence
from functools import partial
from io import BytesIO
from pathlib import Path

import numpy as np
from PIL import Image

from melanoma.errors import MelanomaError
from melanoma.images.reading import find_images, open_image
from melanoma.metrics.checks import Floats

# Of 15 MB, plotly takes 5 and everything else 2.
BUDGET_BYTES = 6_000_000
# Longer side in pixels and JPEG quality, the best first; of the last, 18 pictures of noise fit.
_STEPS = ((800, 85), (640, 80), (480, 75), (320, 70))
_OVERLAY_PX = 64
_STRONGEST = 150


def load_photographs(
    data_dir: Path, names: Sequence[str], prefer_suffix: str | None = None
) -> tuple[dict[str, Image.Image], list[str]]:
    """Read photographs as well as they can be had.

    Args:
        data_dir: The competition folder; it need not be there.
        names: Of training images.
        prefer_suffix: As of `find_images`.

    Returns:
        The decoded ones by name, their longer side at most 800 pixels; and why others are missing.
    """
    if not data_dir.is_dir():
        return {}, [f"{data_dir} is not here. Give the competition folder as --data-dir."]
    found, problems = {}, []
    distinct = list(dict.fromkeys(names))
    find = partial(find_images, data_dir, "train", prefer_suffix=prefer_suffix)
    known = _find_all(find, distinct)
    for name in distinct:
        try:
            path = known.get(name) or find([name])[0]
            picture = open_image(path, _STEPS[0][0])
        except MelanomaError as error:
            problems.append(str(error))
        else:
            picture.thumbnail((_STEPS[0][0], _STEPS[0][0]), Image.Resampling.LANCZOS)
            found[name] = picture
    return found, problems


def _find_all(find: Callable[[Sequence[str]], list[Path]], names: Sequence[str]) -> dict[str, Path]:
    """All of them at once, because a folder of many photographs takes long to list; or none."""
    try:
        return dict(zip(names, find(names)))
    except MelanomaError:
        return {}  # each is asked for by itself then, and says what is missing


def as_data_uris(pictures: dict[str, Image.Image], budget: int = BUDGET_BYTES) -> dict[str, str]:
    """JPEGs, as large and good as all of them fit into the budget of bytes."""
    uris: dict[str, str] = {}
    for side, quality in _STEPS:
        uris = {name: _as_jpeg(picture, side, quality) for name, picture in pictures.items()}
        if sum(map(len, uris.values())) <= budget:
            break
    return uris


def overlay_uri(heat: Floats) -> str:
    """A map of attention as a PNG to be laid over its photograph: the hotter, the less transparent.

    Args:
        heat: Shape (rows, columns), in [0, 1].
    """
    import matplotlib as mpl

    side = (_OVERLAY_PX, _OVERLAY_PX)
    grey = Image.fromarray((255 * heat).astype(np.uint8)).resize(side, Image.Resampling.BICUBIC)
    values = np.asarray(grey)
    colors = (255 * mpl.colormaps["inferno"](values)).astype(np.uint8)
    colors[..., 3] = values.astype(np.float64) / 255 * _STRONGEST
    return _as_uri(Image.fromarray(colors), "png")


def _as_jpeg(picture: Image.Image, side: int, quality: int) -> str:
    smaller = picture.copy()
    smaller.thumbnail((side, side), Image.Resampling.LANCZOS)
    return _as_uri(smaller, "jpeg", quality=quality)


def _as_uri(picture: Image.Image, kind: str, **options: int) -> str:
    file = BytesIO()
    picture.save(file, kind.upper(), **options)
    return f"data:image/{kind};base64,{base64.b64encode(file.getvalue()).decode()}"
