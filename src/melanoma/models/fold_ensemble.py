"""The networks of several folds, predicting side by side from photographs that are read once."""

from collections.abc import Sequence
from typing import cast

import lightning.pytorch as pl
import torch
from torch import Tensor, nn

from melanoma.images.dataset import Batch
from melanoma.models.gathering import INDEX
from melanoma.models.module import MelanomaModule, Outputs
from melanoma.tables import PREDICTION


class FoldEnsemble(pl.LightningModule):
    """Shows every photograph to the network of every fold; each averages its own views.

    Args:
        members: The module of each fold.
        metadata: Per fold, the metadata (n_photographs, n_features), float32, by the photographs'
            `index`; None where it uses none. Each fold has its own, because the statistics are
            those of its training images.
    """

    def __init__(
        self, members: Sequence[MelanomaModule], metadata: Sequence[Tensor | None]
    ) -> None:
        super().__init__()
        self.members = nn.ModuleList(members)
        for place, table in enumerate(metadata):
            self.register_buffer(f"metadata_{place}", table, persistent=False)

    def predict_step(self, batch: Batch, batch_idx: int) -> Outputs:
        """The probabilities (B, n_folds) of melanoma, `prediction`, and their rows, `index`."""
        outputs = [
            cast(MelanomaModule, member).predict_step(self._of_member(place, batch), batch_idx)
            for place, member in enumerate(self.members)
        ]
        return {
            INDEX: batch["index"],
            PREDICTION: torch.stack([o[PREDICTION] for o in outputs], dim=1),
        }

    def _of_member(self, place: int, batch: Batch) -> Batch:
        table = getattr(self, f"metadata_{place}")
        return batch if table is None else {**batch, "metadata": table[batch["index"]]}
