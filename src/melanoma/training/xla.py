"""What TPU cores need that other devices do not: PyTorch/XLA traces steps and compiles them whole.

torch_xla is imported where it is used: most machines do not have it. What is tested of this, and
what is not, is told by docs/accelerators.md.
"""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, BinaryIO

import lightning.pytorch as pl
import torch
from lightning.pytorch.plugins.io import XLACheckpointIO
from lightning.pytorch.plugins.precision import XLAPrecision

from melanoma.models.tracing import run_traced
from melanoma.training.callbacks import AfterOthers
from melanoma.training.checkpoint_io import AtomicCheckpointIO

_ADDRESSES, _TASK = "TPU_PROCESS_ADDRESSES", "CLOUD_TPU_TASK_ID"


class XLAMixedPrecision(XLAPrecision):
    """Weights, their averages and the optimiser in float32; products in bfloat16.

    Lightning has full precision and `bf16-true` for TPUs. The latter sets XLA_USE_BF16, which makes
    every number on the device one of eight bits of mantissa, weights and scores too, and which
    torch_xla is to remove (github.com/pytorch/xla/pull/7150); it is refused. This is torch_xla's own
    automatic mixed precision (docs.pytorch.org/xla, "Automatic Mixed Precision").
    """

    def __init__(self) -> None:
        super().__init__("32-true")
        self.precision = "bf16-mixed"

    @contextmanager
    def forward_context(self) -> Iterator[None]:
        """In which the steps of the module run."""
        with torch.autocast("xla", dtype=torch.bfloat16):
            yield


class AtomicXLACheckpointIO(AtomicCheckpointIO, XLACheckpointIO):
    """Written as on other devices, with all tensors brought to the processor at once.

    So a checkpoint loads on any machine, with or without torch_xla.
    """

    def write_content(self, checkpoint: dict[str, Any], file: BinaryIO) -> None:
        """Write the bytes of a checkpoint."""
        import torch_xla.core.xla_model as xm

        # Lightning has chosen the process that writes; xm.save is not to choose again.
        xm.save(checkpoint, file, master_only=False)


class StepsOnXLA(AfterOthers):
    """Ends what is traced at the start and end of epochs and of each batch; nothing waits for it.

    Lightning ends it in the optimiser's step alone. A validation would then become one program, and
    what callbacks do between steps would be part of the step that follows: another program, minutes
    to compile, wherever they do something else, as at the start of an epoch. To be the last of all that
    are given to the Trainer.
    """

    def on_train_epoch_start(self, trainer: pl.Trainer, *_: Any) -> None:
        """Run what the end of the last epoch has left."""
        run_traced(trainer.strategy.root_device)

    def on_train_batch_end(self, trainer: pl.Trainer, *_: Any) -> None:
        """Run what callbacks did with the loss and the weights."""
        run_traced(trainer.strategy.root_device)

    def on_validation_start(self, trainer: pl.Trainer, *_: Any) -> None:
        """Run what training has left."""
        run_traced(trainer.strategy.root_device)

    def on_validation_batch_end(self, trainer: pl.Trainer, *_: Any) -> None:
        """Run the network."""
        run_traced(trainer.strategy.root_device)


def seed_device(device: torch.device, seed: int) -> None:
    """Seed the random numbers of an XLA device, which torch.manual_seed leaves alone."""
    import torch_xla.core.xla_model as xm

    xm.set_rng_state(seed % 2**32, str(device))


def leave_one_host_topology(trainer_options: dict[str, Any]) -> None:
    """Forget what Kaggle's image says of its TPU where several cores are to train.

    It sets TPU_PROCESS_ADDRESSES to `local` (Kaggle/docker-python, tpu/Dockerfile), so that libraries
    which drive all cores from one process ask no metadata server. torch_xla has a process per core,
    gives each an address where none is set, and else fails: "Expected 8 worker addresses, got 1".
    """
    if trainer_options.get("devices") not in (1, "1") and os.environ.get(_ADDRESSES) == "local":
        for name in (_ADDRESSES, _TASK):
            os.environ.pop(name, None)
