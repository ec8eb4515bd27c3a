"""Test-time augmentation: the symmetries of the square."""

from collections.abc import Iterator
from typing import Literal

from torch import Tensor

Views = Literal[1, 4, 8]


def symmetric_views(pixels: Tensor, n_views: int) -> Iterator[Tensor]:
    """The first of the eight symmetries of square photographs, the photograph itself first.

    Args:
        pixels: Shape (B, C, S, S).
        n_views: 1: as it is; 4: and mirrored along either axis and both; 8: and all of these
            transposed, which are the quarter turns and the diagonal mirrors.

    Yields:
        Tensors of the same shape.
    """
    for number in range(n_views):
        view = pixels.transpose(2, 3) if number & 4 else pixels
        axes = [axis for axis, bit in ((2, 1), (3, 2)) if number & bit]
        yield view.flip(axes) if axes else view
