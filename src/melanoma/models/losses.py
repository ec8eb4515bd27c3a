"""Losses of a network's outputs. A loss is lower-is-better."""

from collections.abc import Callable
from functools import partial
from typing import Literal, get_args

import torch
from torch import Tensor
from torch.nn import functional
from torchvision.ops import sigmoid_focal_loss

from melanoma.errors import ConfigError, suggest

Target = Literal["binary", "diagnosis"]
LossName = Literal["auto", "bce", "focal", "cross_entropy"]
Loss = Callable[[Tensor, Tensor], Tensor]

_LOSSES_OF_TARGET: dict[str, tuple[str, ...]] = {
    "binary": ("bce", "focal"),
    "diagnosis": ("cross_entropy",),
}


def create_loss(
    name: LossName,
    target: Target = "binary",
    focal_alpha: float = 0.75,
    focal_gamma: float = 2.0,
    positive_weight: float = 1.0,
) -> Loss:
    """Make a loss of logits and targets, both (B, n_outputs) and float, that returns their mean.

    Args:
        name: `bce`, binary cross-entropy; `focal`, the weighted focal loss
            -alpha_t (1 - p_t)^gamma log(p_t) of Lin et al., ICCV 2017 (torchvision's);
            `cross_entropy` of a softmax over diagnoses; `auto`, the first that fits the target.
        target: `binary`: one logit; `diagnosis`: one per diagnosis, targets being probabilities.
        focal_alpha: Weight of melanomas in [0, 1]; all others get 1 - alpha. 0.75 and 0.25 are
            the imbalanced-melanoma recipe's.
        focal_gamma: How much an example that is already right is played down, at least 0; 0 is
            the cross-entropy weighted by alpha.
        positive_weight: How many times a melanoma counts in `bce`, above 0.

    Raises:
        ConfigError: If the name is not known, does not fit the target, or a setting is out of range.
    """
    known = get_args(LossName)
    if name not in known:
        raise ConfigError(
            f"--model.loss {name}: not known. Choose {', '.join(known)}.{suggest(name, known)}"
        )
    fitting = _LOSSES_OF_TARGET[target]
    if name != "auto" and name not in fitting:
        raise ConfigError(
            f"--model.loss {name}: does not fit --model.target {target}, whose losses are "
            f"{' and '.join(fitting)}."
        )
    if not 0 <= focal_alpha <= 1:
        raise ConfigError(f"--model.focal_alpha {focal_alpha}: must be between 0 and 1.")
    if focal_gamma < 0:
        raise ConfigError(f"--model.focal_gamma {focal_gamma}: must not be negative.")
    if positive_weight <= 0:
        raise ConfigError(f"--model.positive_weight {positive_weight}: must be above 0.")
    chosen = fitting[0] if name == "auto" else name
    if chosen == "focal":
        return partial(sigmoid_focal_loss, alpha=focal_alpha, gamma=focal_gamma, reduction="mean")
    if chosen == "bce" and positive_weight == 1:
        return functional.binary_cross_entropy_with_logits  # with nothing to send to the device
    if chosen == "bce":
        return partial(_weighted_bce, positive_weight=positive_weight)
    return functional.cross_entropy


def _weighted_bce(logits: Tensor, targets: Tensor, positive_weight: float) -> Tensor:
    weight = torch.tensor(positive_weight, device=logits.device)
    return functional.binary_cross_entropy_with_logits(logits, targets, pos_weight=weight)
