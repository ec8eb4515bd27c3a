import numpy as np
import pytest
import torch

from melanoma.errors import ConfigError
from melanoma.models.mixing import Mixing

PIXELS = torch.arange(6.0).view(6, 1, 1, 1).expand(6, 3, 8, 8).contiguous()
CLASSES = torch.tensor([0, 1, 0, 1, 1, 0])


def test_mixup_mixes_pixels_and_targets_by_the_same_share() -> None:
    pixels, targets = Mixing(0.8, 0.0, 1.0, 2)(PIXELS, CLASSES, key=3)
    share = (float(pixels[0, 0, 0, 0]) - 5) / (0 - 5)
    assert 0 < share < 1
    assert pixels[1, 0, 0, 0].item() == pytest.approx(share * 1 + (1 - share) * 4, rel=1e-5)
    assert targets[2].tolist() == pytest.approx([share, 1 - share], rel=1e-5)


def test_cutmix_pastes_and_weighs_by_area() -> None:
    pixels, targets = Mixing(0.0, 1.0, 1.0, 2)(PIXELS, CLASSES, key=5)
    kept = (pixels[2, 0] == 2).float().mean().item()
    assert set(pixels[2].flatten().tolist()) <= {2.0, 3.0}
    assert targets[2, 0].item() == pytest.approx(kept)


def test_the_key_decides_and_numpys_state_is_left_alone() -> None:
    mixing = Mixing(0.8, 1.0, 1.0, 2)
    np.random.seed(0)
    first, _ = mixing(PIXELS, CLASSES, key=1)
    after = np.random.random()
    np.random.seed(0)
    assert np.random.random() == after
    assert torch.equal(mixing(PIXELS, CLASSES, key=1)[0], first)
    assert not torch.equal(mixing(PIXELS, CLASSES, key=2)[0], first)
    assert torch.equal(PIXELS[0], torch.zeros(3, 8, 8))


def test_the_odd_one_out_stays_as_it_is() -> None:
    pixels, targets = Mixing(0.8, 0.0, 1.0, 2)(PIXELS[:5], CLASSES[:5], key=3)
    assert torch.equal(pixels[4], PIXELS[4])
    assert targets[4].tolist() == [0.0, 1.0]


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ((-1.0, 0.0, 1.0), r"--model.mixup_alpha -1.0: must not be negative"),
        ((0.0, -0.5, 1.0), r"--model.cutmix_alpha -0.5: must not be negative"),
        ((1.0, 0.0, 1.5), r"--model.mix_probability 1.5: must be between 0 and 1"),
    ],
)
def test_settings_out_of_range_are_named(
    settings: tuple[float, float, float], message: str
) -> None:
    with pytest.raises(ConfigError, match=message):
        Mixing(*settings, n_classes=2)
