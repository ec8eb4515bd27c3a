import math

import pytest
import torch

from melanoma.errors import ConfigError
from melanoma.models.losses import LossName, create_loss

LOGITS = torch.tensor([0.0, 2.0, -1.0])
TARGETS = torch.tensor([1.0, 0.0, 1.0])


def focal_by_hand(alpha: float, gamma: float) -> float:
    total = 0.0
    for logit, target in zip(LOGITS.tolist(), TARGETS.tolist()):
        p = 1 / (1 + math.exp(-logit))
        p_t, alpha_t = (p, alpha) if target else (1 - p, 1 - alpha)
        total -= alpha_t * (1 - p_t) ** gamma * math.log(p_t)
    return total / 3


@pytest.mark.parametrize(("alpha", "gamma"), [(0.75, 2.0), (0.25, 2.0), (0.75, 0.0), (0.6, 1.5)])
def test_the_focal_loss_is_its_formula(alpha: float, gamma: float) -> None:
    loss = create_loss("focal", alpha, gamma)
    assert loss(LOGITS, TARGETS).item() == pytest.approx(focal_by_hand(alpha, gamma), rel=1e-5)


def test_half_the_cross_entropy_is_the_focal_loss_without_its_settings() -> None:
    plain, focal = create_loss("bce"), create_loss("focal", 0.5, 0.0)
    assert plain(LOGITS, TARGETS).item() == pytest.approx(2 * focal(LOGITS, TARGETS).item())


@pytest.mark.parametrize(
    ("name", "alpha", "gamma", "message"),
    [
        ("focall", 0.75, 2.0, r"--model.loss focall: not known.* Did you mean focal\?"),
        ("focal", 1.5, 2.0, r"--model.focal_alpha 1.5: must be between 0 and 1"),
        ("focal", 0.75, -1.0, r"--model.focal_gamma -1.0: must not be negative"),
    ],
)
def test_settings_out_of_range_are_named(
    name: LossName, alpha: float, gamma: float, message: str
) -> None:
    with pytest.raises(ConfigError, match=message):
        create_loss(name, alpha, gamma)
