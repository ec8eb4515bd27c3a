"""Losses of one logit against melanoma or not. A loss is lower-is-better."""

from collections.abc import Callable
from functools import partial
from typing import Literal, get_args

from torch import Tensor
from torch.nn import functional
from torchvision.ops import sigmoid_focal_loss

from melanoma.errors import ConfigError, suggest

LossName = Literal["bce", "focal"]
Loss = Callable[[Tensor, Tensor], Tensor]


def create_loss(name: LossName, focal_alpha: float = 0.75, focal_gamma: float = 2.0) -> Loss:
    """Make a loss of logits (B,) and targets (B,), both float, that returns their mean.

    Args:
        name: `bce`, binary cross-entropy; `focal`, the weighted focal loss
            -alpha_t (1 - p_t)^gamma log(p_t) of Lin et al., ICCV 2017 (torchvision's).
        focal_alpha: Weight of melanomas in [0, 1]; all others get 1 - alpha. 0.75 and 0.25 are
            the imbalanced-melanoma recipe's.
        focal_gamma: How much an example that is already right is played down, at least 0; 0 is
            the cross-entropy weighted by alpha.

    Raises:
        ConfigError: If the name is not known or a setting is out of its range.
    """
    if name not in get_args(LossName):
        raise ConfigError(
            f"--model.loss {name}: not known. Choose {' or '.join(get_args(LossName))}."
            f"{suggest(name, get_args(LossName))}"
        )
    if not 0 <= focal_alpha <= 1:
        raise ConfigError(f"--model.focal_alpha {focal_alpha}: must be between 0 and 1.")
    if focal_gamma < 0:
        raise ConfigError(f"--model.focal_gamma {focal_gamma}: must not be negative.")
    if name == "bce":
        return functional.binary_cross_entropy_with_logits
    return partial(sigmoid_focal_loss, alpha=focal_alpha, gamma=focal_gamma, reduction="mean")
