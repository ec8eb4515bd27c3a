"""Augmentation: random changes of a photograph that leave its diagnosis as it is."""

import os
import random
from collections.abc import Callable
from typing import Literal

# albumentations asks the network for its newest version at import unless told not to.
os.environ.setdefault("NO_ALBUMENTATIONS_UPDATE", "1")

import albumentations as A
import cv2
import numpy as np

from melanoma.errors import ConfigError, suggest
from melanoma.images.nuisances import Hairs, MicroscopeDisc
from melanoma.images.reading import Pixels

AugmentationName = Literal["none", "light", "medium", "heavy"]


class Augmentation:
    """A named list of random changes, applied reproducibly: the same key, the same change.

    Args:
        name: `none`; `light`: the eight symmetries of the square and mild brightness and contrast;
            `medium`: also shifts, scales, rotations, hue, and one cutout; `heavy`: the list of the
            first-placed team of SIIM-ISIC 2020, which adds blur or noise, distortion and local
            contrast.
        nuisances: Whether hairs and the dark surround of a dermatoscope come on top. `none` stays
            as it is.

    Raises:
        ConfigError: If the name is not known.
    """

    def __init__(self, name: AugmentationName, nuisances: bool = False) -> None:
        if name not in _PRESETS:
            raise ConfigError(
                f"--data.augmentation {name}: not known. Choose one of {', '.join(_PRESETS)}."
                f"{suggest(name, _PRESETS)}"
            )
        self.name = name
        self.nuisances = nuisances and name != "none"
        # Last, so that with and without nuisances all else is drawn alike.
        on_top = [Hairs(p=0.3), MicroscopeDisc(p=0.2)] if self.nuisances else []
        self._changes = A.Compose([*_PRESETS[name](), *on_top])

    def __call__(self, image: Pixels, key: int) -> Pixels:
        """Change a photograph (H, W, 3) as the random number `key` says."""
        # One state shared by all changes. Compose.set_random_seed would give each change the
        # same seed, so that every flip with the same probability fell the same way.
        self._changes.set_random_state(np.random.default_rng(key), random.Random(key))
        changed: Pixels = self._changes(image=image)["image"]
        return changed

    def __str__(self) -> str:
        """How a picture or a log names it."""
        return f"{self.name} with nuisances" if self.nuisances else self.name


def _none() -> list[A.BasicTransform]:
    return []


def _light() -> list[A.BasicTransform]:
    return [A.D4(p=1.0), A.RandomBrightnessContrast(0.1, 0.1, p=0.5)]


def _medium() -> list[A.BasicTransform]:
    return [
        A.D4(p=1.0),
        A.RandomBrightnessContrast(0.2, 0.2, p=0.75),
        A.HueSaturationValue(10, 20, 10, p=0.5),
        A.Affine(
            translate_percent=(-0.1, 0.1), scale=(0.9, 1.2), rotate=(-15, 15), border_mode=2, p=0.85
        ),
        A.CoarseDropout(
            num_holes_range=(1, 1),
            hole_height_range=(0.2, 0.375),
            hole_width_range=(0.2, 0.375),
            p=0.5,
        ),
    ]


def _heavy() -> list[A.BasicTransform]:
    """The list of the first-placed team of SIIM-ISIC 2020 in the words of albumentations 2.

    Source: Ha, Liu, Liu: Identifying Melanoma Images using EfficientNet Ensemble, arXiv 2010.05351.
    Comments name the original where it had to be translated, and where it is tamer.
    """
    return [
        A.Transpose(p=0.5),
        A.VerticalFlip(p=0.5),
        A.HorizontalFlip(p=0.5),
        A.RandomBrightnessContrast(0.2, 0.0, p=0.75),  # RandomBrightness(0.2)
        A.RandomBrightnessContrast(0.0, 0.2, p=0.75),  # RandomContrast(0.2)
        _blur_or_noise(),
        _distortion(),
        # CLAHE(4.0) had 8 x 8 tiles. At 96 pixels such a tile has fewer pixels than the histogram
        # has bins, and even skin turns blotchy.
        A.CLAHE(clip_limit=4.0, tile_grid_size=(4, 4), p=0.7),
        A.HueSaturationValue(10, 20, 10, p=0.5),
        # ShiftScaleRotate(0.1, 0.1, 15, border_mode=0): what comes in from outside is black.
        A.Affine(
            translate_percent=(-0.1, 0.1),
            scale=(0.9, 1.1),
            rotate=(-15, 15),
            border_mode=cv2.BORDER_CONSTANT,
            p=0.85,
        ),
        # Cutout(num_holes=1, side 0.375), which could lie partly outside; now it never does.
        A.CoarseDropout(
            num_holes_range=(1, 1),
            hole_height_range=(0.375, 0.375),
            hole_width_range=(0.375, 0.375),
            p=0.7,
        ),
    ]


def _blur_or_noise() -> A.OneOf:
    return A.OneOf(
        [
            A.MotionBlur(blur_limit=5),
            A.MedianBlur(blur_limit=5),
            # GaussianBlur(5) took 0.8 or 1.1 pixels from its kernel of 3 or 5, as OpenCV does.
            # Without a blur_limit the kernel is made wide enough for the deviation instead.
            A.GaussianBlur(sigma_limit=(0.8, 1.1)),
            # GaussNoise(var_limit=(5, 30)): a variance in grey levels; now a share of 255.
            A.GaussNoise(std_range=(5**0.5 / 255, 30**0.5 / 255)),
        ],
        p=0.7,
    )


def _distortion() -> A.OneOf:
    """One of three bendings; the mirrored border is that of the original."""
    mirrored = {"border_mode": cv2.BORDER_REFLECT_101}
    return A.OneOf(
        [
            # OpticalDistortion(1.0) drew from -1..1. The distortion 1 + k r^2 + k r^4 folds the
            # corners (r^2 = 0.5) back onto the lesion where k < -4/11.
            A.OpticalDistortion(distort_limit=(-0.35, 1.0), **mirrored),
            # GridDistortion(5, 1.0) let steps vanish, which smears a line over a fifth of the
            # picture, and moved what follows; now steps differ by at most 0.4 and fill the picture.
            A.GridDistortion(num_steps=5, distort_limit=0.4, **mirrored),
            # ElasticTransform(alpha=3) moved by hundredths of a pixel. What it did was the
            # affine map of its former alpha_affine=50 pixels: of three points 256 pixels from the
            # centre, if the side is 768. These are its deviations, for any side.
            A.Affine(
                scale={"x": (0.86, 1.14), "y": (0.86, 1.14)},
                shear={"x": (-8, 8), "y": (-8, 8)},
                translate_percent=(-0.065, 0.065),
                **mirrored,
            ),
        ],
        p=0.7,
    )


_PRESETS: dict[AugmentationName, Callable[[], list[A.BasicTransform]]] = {
    "none": _none,
    "light": _light,
    "medium": _medium,
    "heavy": _heavy,
}
