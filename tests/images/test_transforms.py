import random
from typing import get_args

import numpy as np
import pytest

from melanoma.errors import ConfigError
from melanoma.images.transforms import Augmentation, AugmentationName, _distortion

PICTURE = np.random.default_rng(0).integers(0, 256, (32, 32, 3), dtype=np.uint8)
GREY = np.full((64, 64, 3), 150, dtype=np.uint8)

NAMES: list[AugmentationName] = list(get_args(AugmentationName))
CHANGING = [(name, nuisances) for name in NAMES if name != "none" for nuisances in (False, True)]

changing = pytest.mark.parametrize(("name", "nuisances"), CHANGING)


def test_none_leaves_a_photograph_as_it_is() -> None:
    for nuisances in (False, True):
        assert np.array_equal(Augmentation("none", nuisances)(PICTURE, 1), PICTURE)


@changing
def test_the_key_alone_decides(name: AugmentationName, nuisances: bool) -> None:
    augmentation = Augmentation(name, nuisances)
    first = [augmentation(PICTURE, key) for key in range(30)]
    assert len({picture.tobytes() for picture in first}) > 15
    # Again, in another order, and in another instance.
    other = Augmentation(name, nuisances)
    for key in reversed(range(30)):
        assert np.array_equal(augmentation(PICTURE, key), first[key])
        assert np.array_equal(other(PICTURE, key), first[key])


@changing
def test_two_in_use_at_once_do_not_disturb_each_other(
    name: AugmentationName, nuisances: bool
) -> None:
    alone = [Augmentation(name, nuisances)(PICTURE, key) for key in range(8)]
    one, two = Augmentation(name, nuisances), Augmentation("heavy", True)
    for key, expected in enumerate(alone):
        two(GREY, key + 100)
        assert np.array_equal(one(PICTURE, key), expected)


@changing
@pytest.mark.parametrize("shape", [(16, 16, 3), (96, 96, 3), (40, 56, 3)])
def test_shape_and_type_stay_unless_a_rectangle_is_turned(
    name: AugmentationName, nuisances: bool, shape: tuple[int, int, int]
) -> None:
    picture = np.resize(PICTURE, shape)
    turned = (shape[1], shape[0], 3)
    for key in range(20):
        changed = Augmentation(name, nuisances)(picture, key)
        assert changed.shape in (shape, turned)
        assert changed.dtype == np.uint8
        assert changed.flags.c_contiguous


@changing
def test_the_photograph_given_is_left_alone(name: AugmentationName, nuisances: bool) -> None:
    before = PICTURE.copy()
    for key in range(20):
        Augmentation(name, nuisances)(PICTURE, key)
    assert np.array_equal(PICTURE, before)


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


def test_heavy_turns_and_mirrors_in_every_way() -> None:
    quadrants = np.zeros((64, 64, 3), dtype=np.uint8)
    quadrants[:32, :32], quadrants[:32, 32:] = 60, 110
    quadrants[32:, :32], quadrants[32:, 32:] = 160, 210
    augmentation = Augmentation("heavy")
    orders = set()
    for key in range(300):
        changed = augmentation(quadrants, key)
        middles = [changed[y : y + 8, x : x + 8].mean() for y in (12, 44) for x in (12, 44)]
        orders.add(tuple(np.argsort(middles)))
    # The eight symmetries of the square, and what a cutout in a quadrant makes of them.
    assert {(0, 1, 2, 3), (2, 0, 3, 1), (3, 2, 1, 0), (1, 3, 0, 2)} <= orders
    assert {(1, 0, 3, 2), (2, 3, 0, 1), (0, 2, 1, 3), (3, 1, 2, 0)} <= orders


def test_heavy_cuts_out_one_square_of_three_eighths_of_the_side() -> None:
    # A shift brings in black of its own; where none did, the cutout is all there is.
    augmentation = Augmentation("heavy")
    changed = [augmentation(GREY, key) for key in range(400)]
    whole = [p for p in changed if (p[[0, 0, -1, -1], [0, -1, 0, -1]] > 0).all()]
    cut = [(p == 0).all(axis=2) for p in whole if (p == 0).all(axis=2).sum() > 100]
    assert 0.5 < len(cut) / len(whole) < 0.9
    exact = 0
    for black in cut:
        rows, columns = np.flatnonzero(black.any(axis=1)), np.flatnonzero(black.any(axis=0))
        square = np.ptp(rows) + 1 == 24 and np.ptp(columns) + 1 == 24
        exact += bool(square and black.sum() == 24 * 24)
    assert exact / len(cut) > 0.9


def test_distortions_neither_fold_a_picture_over_nor_smear_it() -> None:
    # At the limits of the original they do both. The ramp says where each pixel comes from.
    ramp = np.broadcast_to(np.arange(0, 256, 2, dtype=np.uint8)[:, None], (128, 128, 3)).copy()
    distortion = _distortion()
    distortion.set_random_state(np.random.default_rng(0), random.Random(0))
    for _ in range(150):
        bent = distortion(image=ramp, force_apply=True)["image"][:, :, 0].astype(int)
        outwards = np.diagonal(bent)[64:]
        border = np.flatnonzero(outwards >= 248)
        inside = outwards[: border[0]] if len(border) else outwards
        assert (np.diff(inside) >= -1).all(), "folded: further out comes from further in"
        steps = np.diff(bent[64, 16:112])
        smeared = np.lib.stride_tricks.sliding_window_view(steps == 0, 8).all(axis=1)
        assert not smeared.any(), "smeared: eight pixels come from one"


@pytest.mark.parametrize("name", [name for name in NAMES if name != "none"])
def test_nuisances_come_on_top_of_the_same_changes(name: AugmentationName) -> None:
    plain, more = Augmentation(name), Augmentation(name, nuisances=True)
    same, darker = 0, 0
    for key in range(200):
        without, with_ = plain(GREY, key), more(GREY, key)
        assert (with_ <= without).all()
        same += np.array_equal(with_, without)
        darker += bool((with_ < without).any())
    # 0.7 x 0.8 of them have neither hairs nor disc.
    assert 0.46 < same / 200 < 0.66
    assert same + darker == 200


def test_nuisances_are_off_unless_asked_for() -> None:
    for key in range(50):
        default = Augmentation("medium")(PICTURE, key)
        assert np.array_equal(default, Augmentation("medium", nuisances=False)(PICTURE, key))


def test_it_says_what_it_is() -> None:
    assert str(Augmentation("heavy")) == "heavy"
    assert str(Augmentation("light", nuisances=True)) == "light with nuisances"
    assert str(Augmentation("none", nuisances=True)) == "none"


def test_an_unknown_augmentation_is_named_with_the_nearest() -> None:
    with pytest.raises(ConfigError, match=r"augmentation lite: not known.* Did you mean light\?"):
        Augmentation("lite")  # type: ignore[arg-type]
