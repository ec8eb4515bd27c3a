"""Pooling a feature map to one vector."""

import torch
from torch import Tensor, nn


class GeneralisedMean(nn.Module):
    """The mean of powers of a feature map, (mean x^p)^(1/p), with one p that is learnt.

    From the mean (p = 1) towards the maximum (p to infinity): Radenovic, Tolias and Chum,
    "Fine-tuning CNN image retrieval with no human annotation", TPAMI 2018.

    Args:
        dimensions: The two spatial dimensions of the map, which become of length 1.
        p: What the power starts from.
        eps: What smaller features count as, so that they have a power and a gradient.
    """

    def __init__(self, dimensions: tuple[int, int], p: float = 3.0, eps: float = 1e-6) -> None:
        super().__init__()
        self.dimensions = dimensions
        self.p = nn.Parameter(torch.tensor([p]))
        self.eps = eps

    def forward(self, maps: Tensor) -> Tensor:
        """Pool maps (B, C, H, W) or (B, H, W, C)."""
        # In float16 the third power of 41 is out of range, and that of eps is zero.
        powers = maps.float().clamp(min=self.eps).pow(self.p)
        return powers.mean(self.dimensions, keepdim=True).pow(1 / self.p).to(maps.dtype)
