import numpy as np
import pytest

from melanoma.errors import ConfigError
from melanoma.images.transforms import Augmentation, AugmentationName

PICTURE = np.random.default_rng(0).integers(0, 256, (32, 32, 3), dtype=np.uint8)


def test_none_leaves_a_photograph_as_it_is() -> None:
    assert np.array_equal(Augmentation("none")(PICTURE, 1), PICTURE)


@pytest.mark.parametrize("name", ["light", "medium"])
def test_the_key_alone_decides(name: AugmentationName) -> None:
    augmentation = Augmentation(name)
    first = augmentation(PICTURE, 1)
    assert not np.array_equal(augmentation(PICTURE, 2), first)
    assert np.array_equal(augmentation(PICTURE, 1), first)
    assert np.array_equal(Augmentation(name)(PICTURE, 1), first)


def test_the_symmetries_are_all_drawn_and_independent_of_what_follows() -> None:
    # A generator seeded alike in each change would tie the brightness to the symmetry.
    augmentation = Augmentation("light")
    corner = np.zeros((8, 8, 3), dtype=np.uint8)
    corner[0, 1] = 100
    drawn = [augmentation(corner, key) for key in range(400)]
    places = {tuple(np.argwhere(picture[:, :, 0] > 50)[0]) for picture in drawn}
    assert len(places) == 8
    brightened = [picture.max() != 100 for picture in drawn]
    at_home = [bool(picture[0, 1, 0] > 50) for picture in drawn]
    assert 0 < sum(b for b, home in zip(brightened, at_home) if home) < sum(at_home)


def test_an_unknown_augmentation_is_named_with_the_nearest() -> None:
    with pytest.raises(ConfigError, match=r"augmentation lite: not known.* Did you mean light\?"):
        Augmentation("lite")  # type: ignore[arg-type]
