import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from melanoma.images.nuisances import Hairs, MicroscopeDisc
from melanoma.images.reading import Pixels

SOURCE = Path(__file__).resolve().parents[2] / "src"


def skin(side_px: int) -> Pixels:
    return np.full((side_px, side_px, 3), 180, dtype=np.uint8)


def seen_through(change: Hairs | MicroscopeDisc, picture: Pixels, seed: int) -> Pixels:
    change.set_random_seed(seed)
    changed: Pixels = change(image=picture)["image"]
    return changed


@pytest.mark.parametrize("side_px", [96, 256])
def test_hairs_darken_few_pixels_and_these_clearly(side_px: int) -> None:
    picture = skin(side_px)
    for seed in range(40):
        changed = seen_through(Hairs(p=1.0), picture, seed)
        darkened = (changed < picture).any(axis=2)
        assert 0.002 < darkened.mean() < 0.15
        assert changed.min() < 130
        assert (changed <= picture).all()


def test_hairs_are_dark_on_any_skin_and_lighten_nothing() -> None:
    noise = np.random.default_rng(0).integers(0, 256, (64, 64, 3), dtype=np.uint8)
    for seed in range(20):
        assert (seen_through(Hairs(p=1.0), noise, seed) <= noise).all()


def test_hairs_are_long_and_thin() -> None:
    picture = skin(256)
    reached = []
    for seed in range(20):
        changed = seen_through(Hairs(p=1.0), picture, seed)
        dark = np.asarray((changed < 150).any(axis=2))
        reached.append(max(dark.any(axis=0).mean(), dark.any(axis=1).mean()))
        # Nowhere a blot: no square of 12 pixels is all hair.
        blots = np.lib.stride_tricks.sliding_window_view(dark, (12, 12)).all(axis=(2, 3))
        assert not blots.any()
    assert np.median(reached) > 0.5


def test_hairs_cover_about_as_much_at_every_size() -> None:
    shares = {
        side_px: np.mean([180 - seen_through(Hairs(p=1.0), skin(side_px), s) for s in range(20)])
        for side_px in (64, 256, 640)
    }
    assert max(shares.values()) < 1.3 * min(shares.values())


@pytest.mark.parametrize("side_px", [16, 96, 256])
def test_the_disc_blackens_the_corners_and_leaves_the_centre(side_px: int) -> None:
    picture = np.random.default_rng(1).integers(1, 256, (side_px, side_px, 3), dtype=np.uint8)
    y, x = (np.mgrid[:side_px, :side_px] + 0.5) / side_px - 0.5
    centre = np.hypot(y, x) < 0.25
    for seed in range(40):
        changed = seen_through(MicroscopeDisc(p=1.0), picture, seed)
        assert not changed[[0, 0, -1, -1], [0, -1, 0, -1]].any()
        assert np.array_equal(changed[centre], picture[centre])


def test_discs_differ_and_have_a_soft_edge() -> None:
    discs = [seen_through(MicroscopeDisc(p=1.0), skin(128), seed) for seed in range(40)]
    black = [float((disc == 0).all(axis=2).mean()) for disc in discs]
    assert 0.02 < min(black) < 0.2 < max(black) < 0.5
    for disc in discs:
        assert 0.002 < ((disc > 0) & (disc < 180)).mean() < 0.15


@pytest.mark.parametrize("change", [Hairs, MicroscopeDisc])
def test_the_generators_handed_over_decide(change: type[Hairs | MicroscopeDisc]) -> None:
    first, second = change(p=1.0), change(p=1.0)
    same = [seen_through(one, skin(64), 3) for one in (first, second, first)]
    assert np.array_equal(same[0], same[1])
    assert np.array_equal(same[0], same[2])
    assert not np.array_equal(same[0], seen_through(first, skin(64), 4))


@pytest.mark.parametrize("change", [Hairs, MicroscopeDisc])
def test_a_rectangle_is_as_welcome_as_a_square(change: type[Hairs | MicroscopeDisc]) -> None:
    picture = np.full((48, 80, 3), 180, dtype=np.uint8)
    changed = seen_through(change(p=1.0), picture, 0)
    assert changed.shape == picture.shape
    assert changed.dtype == np.uint8
    assert (changed < picture).any()


def test_imported_first_it_lets_albumentations_ask_no_network() -> None:
    # A stand-in, whose import takes no seconds, says what it finds.
    code = """
import os, sys, types
class StandIn(types.ModuleType):
    def __getattr__(self, name):
        print(name, os.environ.get("NO_ALBUMENTATIONS_UPDATE"))
        return object
sys.modules["albumentations"] = StandIn("albumentations")
import melanoma.images.nuisances
"""
    environment = {k: v for k, v in os.environ.items() if k != "NO_ALBUMENTATIONS_UPDATE"}
    printed = subprocess.run(
        [sys.executable, "-c", code],
        env={**environment, "PYTHONPATH": str(SOURCE)},
        capture_output=True,
        text=True,
        check=True,
    )
    assert "ImageOnlyTransform 1" in printed.stdout
    assert "None" not in printed.stdout
