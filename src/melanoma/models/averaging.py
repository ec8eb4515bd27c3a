"""The exponential moving average of weights, kept where the network is trained."""

from itertools import chain
from typing import Any

import lightning.pytorch as pl
import torch
from lightning.pytorch.callbacks import EMAWeightAveraging
from torch import nn

from melanoma.models.tracing import run_traced


class DeviceAveraging(EMAWeightAveraging):
    """Lightning's, without a step waiting for the device.

    Lightning copies the module before it is moved to its device, so that the average would stay on
    the processor and every weight be fetched at every step; and torch reads after every step, from
    the device, how often it has averaged. Here the average is where the module will be, and that
    number on the processor.

    Args:
        decay: Of the average, in [0, 1).
    """

    def __init__(self, decay: float) -> None:
        super().__init__(decay=decay)
        self.decay = decay

    def __reduce__(self) -> tuple[type["DeviceAveraging"], tuple[float]]:
        # To the processes of several TPU cores, before there is an average; torch's function cannot
        # be sent.
        return type(self), (self.decay,)

    def setup(self, trainer: pl.Trainer, pl_module: pl.LightningModule, stage: str) -> None:
        """Make the average when training begins."""
        if stage != "fit":
            return
        self._device: Any = trainer.strategy.root_device
        super().setup(trainer, pl_module, stage)
        if self._average_model is not None:
            count = self._average_model.n_averaged
            self._average_model.register_buffer("n_averaged", count.cpu())

    def on_train_batch_end(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, *step: Any
    ) -> None:
        """Bring the average up to date."""
        average = self._average_model
        if average is None or pl_module.device.type != "xla":
            super().on_train_batch_end(trainer, pl_module, *step)
            return
        is_first = int(average.n_averaged) == 0
        # A program of its own, whatever other callbacks do at this step.
        run_traced(pl_module.device)
        super().on_train_batch_end(trainer, pl_module, *step)
        if is_first:
            _own_memory(average.module)
        run_traced(pl_module.device)


@torch.no_grad()
def _own_memory(module: nn.Module) -> None:
    """Give tensors that were copied from others on an XLA device memory of their own.

    A copy shares the memory of what was copied until one of the two is computed anew, and an update
    in place hands its memory to the result: "buffer is deleted" where the other one is read then.
    """
    for tensor in chain(module.parameters(), module.buffers()):
        tensor.copy_(tensor * 1)
