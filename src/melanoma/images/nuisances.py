"""What lies between the lens and the lesion and says nothing about it: hairs, the dermatoscope.

Lengths are in sides of the picture, so that a nuisance looks the same at every size. Changes draw
from the generators that albumentations hands them, so that the key of a photograph decides.
"""

import os
from typing import Any

# As in transforms.py: albumentations asks the network for its newest version unless told not to.
os.environ.setdefault("NO_ALBUMENTATIONS_UPDATE", "1")

import cv2
import numpy as np
import numpy.typing as npt
from albumentations import ImageOnlyTransform

from melanoma.images.reading import Pixels

Floats = npt.NDArray[np.float32]
Rng = np.random.Generator

# Hairs are drawn on a canvas of at least this side and shrunk: OpenCV draws whole pixels of width,
# and at 96 pixels a hair is less than one wide.
_CANVAS_PX = 512
_POINTS = 24
# OpenCV's fixed-point coordinates: sixteenths of a pixel.
_SHIFT = 4

# Red, green, blue of 0..255: black hair to brown, as they look through a dermatoscope.
_BLACK_HAIR = np.array([22, 16, 18], dtype=np.float32)
_BROWN_HAIR = np.array([88, 56, 42], dtype=np.float32)

# Photographs of 4:3 are squeezed to a square, and a circle with them.
_MOST_SQUEEZED = 4 / 3


class Hairs(ImageOnlyTransform):  # type: ignore[misc]
    """A few to a dozen dark, bent hairs, which lie more or less in one direction.

    No pixel gets lighter.

    Args:
        p: Probability that there are hairs.
    """

    def get_params_dependent_on_data(
        self, params: dict[str, Any], data: dict[str, Any]
    ) -> dict[str, Any]:
        """Draw the hairs: `opacity` (H, W) in 0..1 and `colour` (3,)."""
        height, width = params["shape"][:2]
        rng = self.random_generator
        brown = rng.uniform(0, 1)
        colour = brown * _BROWN_HAIR + (1 - brown) * _BLACK_HAIR
        return {"opacity": _draw_hairs((height, width), rng), "colour": colour}

    def apply(self, img: Pixels, opacity: Floats, colour: Floats, **params: Any) -> Pixels:
        """Lay the hairs over a photograph (H, W, 3)."""
        covered = img.copy()
        hairy = opacity > 0
        skin = img[hairy]
        laid_over = np.rint(skin + (colour - skin) * opacity[hairy, None]).astype(np.uint8)
        covered[hairy] = np.minimum(skin, laid_over)
        return covered


class MicroscopeDisc(ImageOnlyTransform):  # type: ignore[misc]
    """Black outside a disc, as where the tube of a dermatoscope comes into the picture.

    The disc is a circle, squeezed like the photograph; all four corners are black, and all within
    a quarter of a side from the centre stays as it is.

    Args:
        p: Probability of the disc.
    """

    def get_params_dependent_on_data(
        self, params: dict[str, Any], data: dict[str, Any]
    ) -> dict[str, Any]:
        """Draw the disc: `light` (H, W, 1), 1 inside to 0 outside."""
        height, width = params["shape"][:2]
        rng = self.random_generator
        radii = np.full(2, rng.uniform(0.44, 0.54))
        radii[rng.integers(2)] *= rng.uniform(1, _MOST_SQUEEZED)
        y, x = (
            ((np.arange(side) + 0.5) / side - rng.uniform(0.46, 0.54)) / radius
            for side, radius in zip((height, width), radii)
        )
        away = np.hypot(y[:, None].astype(np.float32), x.astype(np.float32))
        # From light to dark over 2 to 8 % of the radius.
        light = np.clip(0.5 + (1 - away) / np.float32(rng.uniform(0.02, 0.08)), 0, 1)
        return {"light": light[..., None]}

    def apply(self, img: Pixels, light: Floats, **params: Any) -> Pixels:
        """Darken a photograph (H, W, 3)."""
        darkened: Pixels = np.rint(img * light).astype(np.uint8)
        return darkened


def _draw_hairs(shape: tuple[int, int], rng: Rng) -> Floats:
    """Opacity of the hairs, (H, W), 0 where there is none."""
    magnified = max(1, -(-_CANVAS_PX // max(shape)))
    height_px, width_px = (magnified * side for side in shape)
    canvas = np.zeros((height_px, width_px), np.uint8)
    direction = rng.uniform(0, 2 * np.pi)
    spread = rng.uniform(0.1, 0.7)
    for _ in range(rng.integers(3, 13)):
        strand = _strand(rng.normal(direction, spread), rng) * (width_px, height_px)
        _draw_strand(canvas, strand, rng.uniform(0.002, 0.006) * width_px)
    shrunk = cv2.resize(canvas, shape[::-1], interpolation=cv2.INTER_AREA)
    opacity: Floats = shrunk.astype(np.float32) * np.float32(rng.uniform(0.6, 0.95) / 255)
    return opacity


def _strand(direction: float, rng: Rng) -> npt.NDArray[np.float64]:
    """Points of a hair, (n, 2): it bends, and swings a little as it goes."""
    t = np.linspace(0, 1, _POINTS)
    length = rng.uniform(0.35, 1.3)
    bend = rng.normal(0, 0.8)
    swing = rng.normal(0, 0.15) * np.sin(2 * np.pi * (t * rng.uniform(0.5, 1.5) + rng.random()))
    heading = direction + bend * (t - 0.5) + swing
    steps = np.stack([np.cos(heading), np.sin(heading)], axis=1) * (length / _POINTS)
    path = np.cumsum(steps, axis=0)
    # Somewhere on the hair there is a place that lies in the picture.
    placed: npt.NDArray[np.float64] = path - path[rng.integers(_POINTS)] + rng.uniform(0, 1, 2)
    return placed


def _draw_strand(
    canvas: npt.NDArray[np.uint8], strand: npt.NDArray[np.float64], width_px: float
) -> None:
    """Draw a hair that tapers over its last third."""
    points = np.rint(strand * 2**_SHIFT).astype(np.int32)
    for start, end, width in ((0, 16, 1.0), (15, 20, 0.75), (19, _POINTS, 0.45)):
        thickness = max(1, round(width * width_px))
        cv2.polylines(canvas, [points[start:end]], False, 255, thickness, cv2.LINE_AA, _SHIFT)
