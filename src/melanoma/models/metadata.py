"""The metadata branch of a network."""

import torch
from torch import Tensor, nn

# Sizes, activation and dropout of the first-placed team's (Ha, Liu & Liu, arXiv:2010.05351).
HIDDEN = (512, 128)


class MetadataBranch(nn.Sequential):
    """Two layers with swish and dropout: metadata (B, n_features) to features (B, 128).

    Args:
        n_features: Length of an image's metadata.
        sizes: Of the two layers.
        dropout: Between them, in [0, 1).
    """

    def __init__(
        self, n_features: int, sizes: tuple[int, int] = HIDDEN, dropout: float = 0.3
    ) -> None:
        first, second = sizes
        super().__init__(
            nn.Linear(n_features, first),
            nn.BatchNorm1d(first),
            nn.SiLU(),
            nn.Dropout(dropout),
            nn.Linear(first, second),
            nn.BatchNorm1d(second),
            nn.SiLU(),
        )
        self.n_features = second


def drop_metadata(metadata: Tensor, probability: float) -> Tensor:
    """Make all metadata of random images missing, so that prediction can do without.

    Args:
        metadata: Shape (B, n_features); zeros mean missing.
        probability: Of an image to lose its metadata.
    """
    kept = torch.rand(len(metadata), 1, device=metadata.device) >= probability
    return metadata * kept
