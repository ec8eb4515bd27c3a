import math

import pytest
import torch

from melanoma.errors import ConfigError
from melanoma.models.losses import LossName, Target, create_loss

LOGITS = torch.tensor([[0.0], [2.0], [-1.0]])
TARGETS = torch.tensor([[1.0], [0.0], [1.0]])


def focal_by_hand(alpha: float, gamma: float) -> float:
    total = 0.0
    for logit, target in zip(LOGITS.flatten().tolist(), TARGETS.flatten().tolist()):
        p = 1 / (1 + math.exp(-logit))
        p_t, alpha_t = (p, alpha) if target else (1 - p, 1 - alpha)
        total -= alpha_t * (1 - p_t) ** gamma * math.log(p_t)
    return total / 3


@pytest.mark.parametrize(("alpha", "gamma"), [(0.75, 2.0), (0.25, 2.0), (0.75, 0.0), (0.6, 1.5)])
def test_the_focal_loss_is_its_formula(alpha: float, gamma: float) -> None:
    loss = create_loss("focal", focal_alpha=alpha, focal_gamma=gamma)
    assert loss(LOGITS, TARGETS).item() == pytest.approx(focal_by_hand(alpha, gamma), rel=1e-5)


def test_half_the_cross_entropy_is_the_focal_loss_without_its_settings() -> None:
    plain, focal = create_loss("bce"), create_loss("focal", focal_alpha=0.5, focal_gamma=0.0)
    assert plain(LOGITS, TARGETS).item() == pytest.approx(2 * focal(LOGITS, TARGETS).item())


def test_a_positive_weight_counts_melanomas_more() -> None:
    weighted = create_loss("bce", positive_weight=3.0)
    by_hand = (3 * math.log(2) + math.log(1 + math.exp(2)) + 3 * math.log(1 + math.exp(1))) / 3
    assert weighted(LOGITS, TARGETS).item() == pytest.approx(by_hand, rel=1e-5)


def test_auto_is_what_fits_the_target() -> None:
    assert create_loss("auto")(LOGITS, TARGETS) == create_loss("bce")(LOGITS, TARGETS)
    logits, wanted = torch.tensor([[1.0, 0.0, 0.0]]), torch.tensor([[0.5, 0.5, 0.0]])
    loss = create_loss("auto", "diagnosis")(logits, wanted).item()
    log_sum = math.log(math.e + 2)
    assert loss == pytest.approx(0.5 * (log_sum - 1) + 0.5 * log_sum, rel=1e-5)


@pytest.mark.parametrize(
    ("name", "target", "settings", "message"),
    [
        ("focall", "binary", {}, r"--model.loss focall: not known.* Did you mean focal\?"),
        ("bce", "diagnosis", {}, r"--model.loss bce: does not fit --model.target diagnosis"),
        ("cross_entropy", "binary", {}, r"does not fit .* whose losses are bce and focal"),
        ("focal", "binary", {"focal_alpha": 1.5}, r"--model.focal_alpha 1.5: must be between"),
        ("focal", "binary", {"focal_gamma": -1.0}, r"--model.focal_gamma -1.0: must not be neg"),
        ("bce", "binary", {"positive_weight": 0.0}, r"--model.positive_weight 0.0: must be above"),
    ],
)
def test_settings_out_of_range_are_named(
    name: LossName, target: Target, settings: dict[str, float], message: str
) -> None:
    with pytest.raises(ConfigError, match=message):
        create_loss(name, target, **settings)
