"""The perceptual hash of a photograph: alike for copies at another size or quality."""

import imagehash
import numpy as np
import numpy.typing as npt
from PIL import Image

Bits = npt.NDArray[np.bool_]

# 16 x 16 bits from a discrete cosine transform of 64 x 64 pixels. (imagehash's `phash`, after
# Zauner 2010.)
HASH_SIDE = 16
HASH_PIXELS = 4 * HASH_SIDE


def perceptual_hash(picture: Image.Image) -> Bits:
    """The hash of a decoded photograph, shape (256,).

    At whatever scale it was decoded, at least `HASH_PIXELS` high and wide: of the 1,510 photographs
    of ISIC 2018's test set, decoded at 64 and at 512 pixels, no hash differs in more than 12 bits.
    """
    square = picture.resize((HASH_PIXELS, HASH_PIXELS), Image.Resampling.BICUBIC, reducing_gap=2.0)
    bits: Bits = imagehash.phash(square, hash_size=HASH_SIDE).hash.ravel()
    return bits


def to_hex(bits: Bits) -> str:
    """Write a hash as 64 hexadecimal digits, the first bit first.

    >>> to_hex(np.arange(256) == 0)[:4]
    '8000'
    """
    return np.packbits(bits).tobytes().hex()


def from_hex(digits: str) -> Bits:
    """Read a hash that `to_hex` has written."""
    return np.unpackbits(np.frombuffer(bytes.fromhex(digits), np.uint8)).astype(np.bool_)
