"""Bringing the outputs of all batches, on all devices, together: every image once, in order."""

from collections.abc import Sequence
from typing import Any, cast

import lightning.pytorch as pl
import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

INDEX = "index"


def gather_outputs(
    module: pl.LightningModule, outputs: Sequence[dict[str, Tensor]]
) -> dict[str, npt.NDArray[Any]]:
    """Join the outputs of an epoch over batches and devices. Every device must call it.

    Args:
        module: A module attached to a trainer, which knows the other devices.
        outputs: Per batch, tensors of shape (B, ...) by name; `index` (int64) is each row's number
            in its dataset. Every device has as many rows, because samplers pad, and batches may be
            filled up; rows that came twice for these reasons are kept once.

    Returns:
        Arrays of shape (n, ...) by name, sorted by `index`, which is among them.
    """
    joined = {name: torch.cat([output[name] for output in outputs]) for name in outputs[0]}
    gathered = {
        # A device more is a dimension more; one device alone adds none.
        name: cast(Tensor, module.all_gather(tensor)).reshape(-1, *tensor.shape[1:]).cpu().numpy()
        for name, tensor in joined.items()
    }
    _, rows = np.unique(gathered[INDEX], return_index=True)
    return {name: values[rows] for name, values in gathered.items()}
