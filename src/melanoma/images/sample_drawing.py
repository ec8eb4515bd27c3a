"""Draws one skin lesion as a dermoscope would show it.

Lengths are in picture heights, so that a lesion looks the same at every size. The cues of a lesion
are those of the ABCD rule of dermatoscopy (Stolz et al., European Journal of Dermatology 4, 1994);
skin, hairs, ruler, lens and light are drawn from the generator and know nothing of the lesion.
"""

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float32]
Rng = np.random.Generator


def _rgb(*values: float | list[float]) -> Floats:
    return np.array(values, dtype=np.float32)


# Red, green, blue in 0..1, picked by eye to look like dermoscopic photographs.
SKIN_TONES = _rgb([0.86, 0.68, 0.60], [0.80, 0.58, 0.50], [0.74, 0.55, 0.43])
LIGHT_BROWN, DARK_BROWN = _rgb([0.64, 0.42, 0.29], [0.28, 0.16, 0.10])
# The zones that a lesion gains with its second to sixth colour: the commoner ones first.
ZONE_COLOURS = _rgb(
    [0.22, 0.12, 0.08],  # dark brown
    [0.66, 0.32, 0.29],  # red: vessels, inflammation
    [0.11, 0.08, 0.09],  # black
    [0.80, 0.68, 0.63],  # white: regression
    [0.70, 0.48, 0.33],  # tan
)
VEIL_COLOUR = _rgb(0.42, 0.46, 0.55)
HAIR_COLOUR = _rgb(0.16, 0.11, 0.09)
# Where blood shows through, green and blue are lost.
FLUSH = _rgb(0.3, -1.0, -0.8)


@dataclass(frozen=True)
class Lesion:
    """The cues of one lesion.

    Attributes:
        asymmetry: 0 (an ellipse, evenly coloured) to 1 (lopsided in outline and colour).
        border: 0 (smooth outline) to 1 (deeply notched).
        n_colours: 1 to 6.
        veil: Opacity of the blue-white veil, 0 to 1.
        darkness: 0 (light brown) to 1 (dark brown).
        diameter: In picture heights.
    """

    asymmetry: float
    border: float
    n_colours: int
    veil: float
    darkness: float
    diameter: float


@dataclass(frozen=True)
class _Frame:
    """Where the lesion lies: per pixel, all (H, W).

    Attributes:
        x: Horizontal distance from the lesion's centre, in lesion radii.
        y: Vertical distance, likewise.
        depth: 1 at the centre, 0 on the outline, negative outside.
    """

    x: Floats
    y: Floats
    depth: Floats


def draw_lesion(lesion: Lesion, height_px: int, rng: Rng) -> NDArray[np.uint8]:
    """Draw a picture of the lesion.

    Args:
        lesion: What to show.
        height_px: Height; the width is 4/3 of it.
        rng: Source of everything the lesion does not fix.

    Returns:
        uint8 RGB of shape (height_px, height_px * 4 // 3, 3).
    """
    shape = (height_px, height_px * 4 // 3)
    frame = _place(lesion, shape, rng)
    pixels = _skin(shape, rng)
    pixels = _blend(pixels, _lesion_colours(lesion, frame, rng), _opacity(frame, lesion, rng))
    for add in (_add_bubbles, _add_ruler, _add_hairs, _add_lens, _add_light):
        pixels = add(pixels, rng)
    grain = 0.012 * rng.standard_normal(pixels.shape, dtype=np.float32)
    return np.asarray(np.rint(255 * np.clip(pixels + grain, 0, 1)), dtype=np.uint8)


def _smooth_noise(shape: tuple[int, int], cell: float, rng: Rng) -> Floats:
    """Noise of mean 0 and deviation 1 with bumps of about `cell` picture heights, (H, W)."""
    n_rows = max(3, round(1 / cell))
    grid = rng.standard_normal((n_rows, max(4, round(4 / 3 / cell)))).astype(np.float32)
    noise = cv2.resize(grid, shape[::-1], interpolation=cv2.INTER_CUBIC)
    return np.asarray((noise - noise.mean()) / noise.std(), dtype=np.float32)


def _step(values: Floats, softness: float) -> Floats:
    """Rise from 0 to 1 around 0, over about `softness`."""
    return np.asarray(0.5 + 0.5 * np.tanh(values / softness), dtype=np.float32)


def _blend(below: Floats, above: Floats, opacity: Floats) -> Floats:
    """Lay a picture (H, W, 3) or a colour (3,) over a picture (H, W, 3), opacity (H, W)."""
    picture: Floats = below + (above - below) * opacity[..., None]
    return picture


def _skin(shape: tuple[int, int], rng: Rng) -> Floats:
    tone = rng.dirichlet(np.ones(len(SKIN_TONES))).astype(np.float32) @ SKIN_TONES
    shade = 1 + 0.04 * _smooth_noise(shape, 0.5, rng) + 0.012 * _smooth_noise(shape, 0.02, rng)
    creases = np.exp(-((_smooth_noise(shape, 0.04, rng) / 0.3) ** 2))
    flush = 0.015 * _smooth_noise(shape, 0.25, rng) + 0.01 * _smooth_noise(shape, 0.06, rng)
    skin: Floats = tone * (shade - 0.025 * creases)[..., None] + flush[..., None] * FLUSH
    return skin


def _place(lesion: Lesion, shape: tuple[int, int], rng: Rng) -> _Frame:
    rows, columns = np.mgrid[: shape[0], : shape[1]].astype(np.float32) / shape[0]
    x = (columns - rng.normal(0.66, 0.05)) * 2 / lesion.diameter
    y = (rows - rng.normal(0.5, 0.05)) * 2 / lesion.diameter
    angle = np.arctan2(y, x)
    distance = np.hypot(x, y) / _outline(lesion, angle, rng)
    return _Frame(x, y, np.asarray(1 - distance, dtype=np.float32))


def _outline(lesion: Lesion, angle: Floats, rng: Rng) -> Floats:
    """Radius of the outline in each direction, in lesion radii: a bent, notched ellipse."""
    radius = 1 + rng.uniform(0.03, 0.16) * np.cos(2 * angle + rng.uniform(0, 2 * np.pi))
    for order in (1, 2, 3, 4):
        size = lesion.asymmetry * rng.uniform(0.15, 0.45) / (order + 1)
        radius += size * np.cos(order * angle + rng.uniform(0, 2 * np.pi))
    for order in range(5, 18):
        size = lesion.border * rng.uniform(0.1, 0.5) / order
        radius += size * np.cos(order * angle + rng.uniform(0, 2 * np.pi))
    return np.asarray(np.maximum(radius, 0.25), dtype=np.float32)


def _opacity(frame: _Frame, lesion: Lesion, rng: Rng) -> Floats:
    softness = rng.uniform(0.02, 0.06) / lesion.diameter
    return rng.uniform(0.8, 0.97) * _step(frame.depth, softness)


def _lesion_colours(lesion: Lesion, frame: _Frame, rng: Rng) -> Floats:
    colours = _browns(lesion, frame, rng)
    for colour in ZONE_COLOURS[: lesion.n_colours - 1]:
        colours = _blend(colours, colour, rng.uniform(0.6, 0.9) * _zone(lesion, frame, rng))
    colours = _blend(colours, VEIL_COLOUR, lesion.veil * _zone(lesion, frame, rng))
    grains = 0.05 * _smooth_noise(frame.depth.shape, 0.012, rng)
    return colours * (1 + grains)[..., None]


def _browns(lesion: Lesion, frame: _Frame, rng: Rng) -> Floats:
    """Pigment without the zones: lighter or darker inwards, mottled, with a network in places."""
    shape = frame.depth.shape
    inwards = rng.uniform(-0.3, 0.5) * (np.clip(frame.depth, 0, 1) - 0.4)
    mottling = 0.09 * _smooth_noise(shape, 0.08, rng) + 0.05 * _smooth_noise(shape, 0.03, rng)
    # Crests of fine noise form the mesh of a pigment network.
    mesh = np.exp(-((_smooth_noise(shape, 0.022, rng) / 0.5) ** 2)) - 0.4
    places = _step(_smooth_noise(shape, 0.25, rng), 1.0)
    brown = lesion.darkness + inwards + mottling + rng.uniform(0, 0.5) * places * mesh
    light = np.broadcast_to(LIGHT_BROWN, (*shape, 3))
    return _blend(light, DARK_BROWN, np.clip(brown, 0, 1))


def _zone(lesion: Lesion, frame: _Frame, rng: Rng) -> Floats:
    """Opacity of a patch of the lesion, pushed to one side by its asymmetry."""
    shape = frame.depth.shape
    direction = rng.uniform(0, 2 * np.pi)
    side = frame.x * np.cos(direction) + frame.y * np.sin(direction)
    field = _smooth_noise(shape, 0.35 * lesion.diameter, rng) + 0.3 * _smooth_noise(
        shape, 0.05, rng
    )
    return _step(field + 1.5 * lesion.asymmetry * side - rng.uniform(0.3, 0.9), rng.uniform(0.4, 1))


def _opacity_of(mask: NDArray[np.uint8], at_most: float) -> Floats:
    return mask.astype(np.float32) * (at_most / 255)


def _add_hairs(pixels: Floats, rng: Rng) -> Floats:
    """Add up to 15 bent dark hairs to 35 % of the pictures."""
    height, width = pixels.shape[:2]
    n_hairs = int(rng.integers(1, 16)) if rng.random() < 0.35 else 0
    mask = np.zeros((height, width), np.uint8)
    direction = rng.uniform(0, np.pi)
    t = np.linspace(0, 1, 20)[:, None]
    for _ in range(n_hairs):
        turn = direction + rng.normal(0, 0.5)
        along = np.array([np.cos(turn), np.sin(turn)]) * rng.uniform(0.2, 0.6)
        bend = along[::-1] * (1, -1) * rng.normal(0, 0.3)
        root = rng.uniform(0, 1, 2) * (4 / 3, 1)
        points = (root + along * (2 * t - 1) + bend * t * (1 - t) * 4) * height
        strand = np.rint(points * 16).astype(np.int32)
        cv2.polylines(mask, [strand], False, 255, 1, cv2.LINE_AA, shift=4)
    colour = HAIR_COLOUR * rng.uniform(0.5, 1.8)
    return _blend(pixels, colour, _opacity_of(mask, rng.uniform(0.5, 0.9)))


def _add_ruler(pixels: Floats, rng: Rng) -> Floats:
    """Add the ticks of a ruler along one edge of a tenth of the pictures."""
    height, width = pixels.shape[:2]
    mask = np.zeros((height, width), np.uint8)
    if rng.random() < 0.1:
        step_px = height * rng.uniform(0.035, 0.06)
        for number, x in enumerate(np.arange(rng.uniform(0, step_px), width, step_px)):
            length_px = height * (0.09 if number % 5 == 0 else 0.05)
            cv2.line(mask, (int(x), 0), (int(x), int(length_px)), 255, 1, cv2.LINE_AA)
    if rng.random() < 0.5:
        mask = mask[::-1]
    return _blend(pixels, _rgb(0.1, 0.1, 0.1), _opacity_of(mask, 0.8))


def _add_bubbles(pixels: Floats, rng: Rng) -> Floats:
    """Add air bubbles in the gel, a bright rim each, to a fifth of the pictures."""
    height, width = pixels.shape[:2]
    mask = np.zeros((height, width), np.uint8)
    n_bubbles = int(rng.integers(1, 12)) if rng.random() < 0.2 else 0
    for _ in range(n_bubbles):
        centre = (int(rng.random() * width), int(rng.random() * height))
        radius_px = round(height * rng.uniform(0.008, 0.03))
        cv2.circle(mask, centre, radius_px, 255, 1, cv2.LINE_AA)
    return _blend(pixels, _rgb(1, 1, 1), _opacity_of(mask, 0.4))


def _add_lens(pixels: Floats, rng: Rng) -> Floats:
    """Add a fall-off to the corners, in a seventh of the pictures a black rim, and slight blur."""
    height, width = pixels.shape[:2]
    rows, columns = np.mgrid[:height, :width].astype(np.float32) / height
    distance = np.hypot(rows - 0.5, columns - 2 / 3)
    pixels = pixels * (1 - rng.uniform(0, 0.45) * distance**2)[..., None]
    if rng.random() < 0.15:
        rim = _step(distance - rng.uniform(0.56, 0.78), 0.01)
        pixels = _blend(pixels, _rgb(0.03, 0.03, 0.03), rim)
    blur_px = height * rng.uniform(0.0005, 0.005)
    return np.asarray(cv2.GaussianBlur(pixels, (0, 0), blur_px), dtype=np.float32)


def _add_light(pixels: Floats, rng: Rng) -> Floats:
    """Vary exposure, white balance and contrast as between cameras."""
    gain = (rng.normal(1.0, 0.06) * rng.normal(1.0, 0.025, 3)).astype(np.float32)
    return (np.clip(pixels, 0, None) * gain) ** rng.uniform(0.85, 1.2)
