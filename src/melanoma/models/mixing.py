"""Mixup and cutmix, timm's own, decided by the seed, the epoch and the step alone."""

from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
from timm.data import Mixup
from torch import Tensor

from melanoma.errors import ConfigError
from melanoma.models.targets import class_probabilities


class Mixing:
    """Mixes each batch with itself in reverse order.

    Args:
        mixup_alpha: Of the beta distribution of mixup's shares; 0 switches it off.
        cutmix_alpha: The same for cutmix. With both, each batch gets one of them at random.
        probability: Of a batch to be mixed, in [0, 1].
        n_classes: Number of classes of the targets.

    Source: Zhang et al., ICLR 2018; Yun et al., ICCV 2019.

    Raises:
        ConfigError: If a setting is out of its range.
    """

    def __init__(
        self, mixup_alpha: float, cutmix_alpha: float, probability: float, n_classes: int
    ) -> None:
        for name, value in [("mixup_alpha", mixup_alpha), ("cutmix_alpha", cutmix_alpha)]:
            if value < 0:
                raise ConfigError(f"--model.{name} {value}: must not be negative.")
        if not 0 <= probability <= 1:
            raise ConfigError(f"--model.mix_probability {probability}: must be between 0 and 1.")
        self.is_on = mixup_alpha > 0 or cutmix_alpha > 0
        self._mix = Mixup(
            mixup_alpha=mixup_alpha,
            cutmix_alpha=cutmix_alpha,
            prob=probability,
            label_smoothing=0.0,
            num_classes=n_classes,
        )

    def __call__(self, pixels: Tensor, classes: Tensor, key: int) -> tuple[Tensor, Tensor]:
        """Mix a batch.

        Args:
            pixels: (B, 3, S, S) float. Of an odd number the last one stays as it is.
            classes: (B,) int64.
            key: The random number that decides.

        Returns:
            The mixed pixels, and targets (B, n_classes) as probabilities.
        """
        even = len(pixels) // 2 * 2
        mixed = pixels.clone()
        targets = class_probabilities(classes, self._mix.num_classes)
        with _numpy_seeded(key):
            mixed[:even], targets[:even] = self._mix(pixels[:even].clone(), classes[:even])
        return mixed, targets


@contextmanager
def _numpy_seeded(key: int) -> Iterator[None]:
    # timm draws from numpy's global generator, whose state no checkpoint keeps.
    state = np.random.get_state()
    np.random.seed(key % 2**32)
    try:
        yield
    finally:
        np.random.set_state(state)
