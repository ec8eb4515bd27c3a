from pathlib import Path

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from melanoma.images.duplicates import MOST_DIFFERING_BITS
from melanoma.images.hashing import HASH_PIXELS, Bits, from_hex, perceptual_hash, to_hex
from melanoma.images.reading import open_image
from melanoma.images.sample import make_sample


@given(st.integers(0, 2**256 - 1))
def test_a_hash_survives_being_written(number: int) -> None:
    # One number is drawn sooner than 256 bits are.
    bits: Bits = np.array([digit == "1" for digit in f"{number:0256b}"])
    assert len(to_hex(bits)) == 64
    assert np.array_equal(from_hex(to_hex(bits)), bits)


def test_the_scale_of_decoding_makes_less_difference_than_another_picture(tmp_path: Path) -> None:
    folder = make_sample(tmp_path / "sample", n_train=8, n_test=1, image_size_px=300)
    paths = sorted((folder / "jpeg" / "train").iterdir())
    small = np.stack([perceptual_hash(open_image(path, HASH_PIXELS)) for path in paths])
    large = np.stack([perceptual_hash(open_image(path, 300)) for path in paths])
    differing = (small[:, None] != large[None]).sum(axis=2)
    assert np.diag(differing).max() <= 20
    assert differing[~np.eye(len(paths), dtype=bool)].min() > MOST_DIFFERING_BITS


def test_the_hash_is_of_the_whole_picture() -> None:
    picture = Image.new("RGB", (300, 200))
    changed = picture.copy()
    changed.paste((255, 255, 255), (270, 180, 300, 200))
    assert (perceptual_hash(picture) != perceptual_hash(changed)).any()
