"""The whole network: pixels and metadata in, logits out."""

import torch
from torch import Tensor, nn

from melanoma.models.backbones import Backbone
from melanoma.models.metadata import HIDDEN, MetadataBranch


class MelanomaNetwork(nn.Module):
    """A backbone, an optional metadata branch, and a linear head over both.

    Args:
        backbone: Pooled features of photographs.
        n_outputs: Of the head.
        dropout: Before the head, in [0, 1).
        n_metadata: Length of an image's metadata; 0 for none.
        metadata_sizes: Of the two layers of the metadata branch.
    """

    mean: Tensor
    std: Tensor

    def __init__(
        self,
        backbone: Backbone,
        n_outputs: int,
        dropout: float = 0.0,
        n_metadata: int = 0,
        metadata_sizes: tuple[int, int] = HIDDEN,
    ) -> None:
        super().__init__()
        self.backbone = backbone
        self.branch = MetadataBranch(n_metadata, metadata_sizes) if n_metadata else None
        n_features = backbone.n_features + (self.branch.n_features if self.branch else 0)
        self.head = nn.Sequential(nn.Dropout(dropout), nn.Linear(n_features, n_outputs))
        self.set_layout(channels_last=True)
        statistics = backbone.statistics
        self.register_buffer("mean", 255 * torch.tensor(statistics.mean).view(1, 3, 1, 1), False)
        self.register_buffer("std", 255 * torch.tensor(statistics.std).view(1, 3, 1, 1), False)

    def set_layout(self, channels_last: bool) -> None:
        """Keep tensors channels last, the layout in which convolutions are fast, or as torch does."""
        self.memory_format = torch.channels_last if channels_last else torch.contiguous_format
        self.backbone.to(memory_format=self.memory_format)

    def normalise(self, image: Tensor) -> Tensor:
        """Pixels as the backbone expects them, from photographs (B, 3, S, S), uint8 RGB."""
        return ((image.float() - self.mean) / self.std).to(self._dtype)

    def forward(self, pixels: Tensor, metadata: Tensor | None = None) -> Tensor:
        """Logits (B, n_outputs), float32; float64 where the weights are.

        Args:
            pixels: (B, 3, S, S), normalised.
            metadata: (B, n_metadata) where there is a branch.
        """
        features = self.backbone(pixels.contiguous(memory_format=self.memory_format))
        if self.branch is not None and metadata is not None:
            features = torch.cat([features, self.branch(metadata)], dim=1)
        # In full precision whatever the rest runs in: eight bits of mantissa would tie many scores.
        with torch.autocast(features.device.type, enabled=False):
            logits: Tensor = self.head(features.to(self._dtype))
        return logits if logits.dtype == torch.float64 else logits.float()

    @property
    def _dtype(self) -> torch.dtype:
        dtype: torch.dtype = self.head[1].weight.dtype  # type: ignore[assignment]
        return dtype
