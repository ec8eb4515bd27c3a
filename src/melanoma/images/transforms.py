"""Augmentation: random changes of a photograph that leave its diagnosis as it is."""

import os
import random
from typing import Literal, get_args

# albumentations asks the network for its newest version at import unless told not to.
os.environ.setdefault("NO_ALBUMENTATIONS_UPDATE", "1")

import albumentations as A
import numpy as np

from melanoma.errors import ConfigError, suggest
from melanoma.images.reading import Pixels

AugmentationName = Literal["none", "light", "medium"]


class Augmentation:
    """A named list of random changes, applied reproducibly: the same key, the same change.

    Args:
        name: `none`; `light`: the eight symmetries of the square and mild brightness and contrast;
            `medium`: also shifts, scales, rotations, hue, and one cutout.

    Raises:
        ConfigError: If the name is not known.
    """

    def __init__(self, name: AugmentationName) -> None:
        known = get_args(AugmentationName)
        if name not in known:
            raise ConfigError(
                f"--data.augmentation {name}: not known. Choose one of {', '.join(known)}."
                f"{suggest(name, known)}"
            )
        self._changes = A.Compose(_changes(name))

    def __call__(self, image: Pixels, key: int) -> Pixels:
        """Change a photograph (H, W, 3) as the random number `key` says."""
        # One state shared by all changes. Compose.set_random_seed would give each change the
        # same seed, so that every flip with the same probability fell the same way.
        self._changes.set_random_state(np.random.default_rng(key), random.Random(key))
        changed: Pixels = self._changes(image=image)["image"]
        return changed


def _changes(name: AugmentationName) -> list[A.BasicTransform]:
    symmetries = [A.D4(p=1.0)]
    if name == "none":
        return []
    if name == "light":
        return [*symmetries, A.RandomBrightnessContrast(0.1, 0.1, p=0.5)]
    return [
        *symmetries,
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
