"""Going on as if nothing had happened: what a step sees and draws depends on where the step is."""

from typing import Any, cast

import lightning.pytorch as pl
import numpy as np
import torch
from lightning.pytorch.callbacks import Callback

from melanoma.images.workers import ResumableLoader
from melanoma.training.xla import seed_device


class StepSeeds(Callback):
    """Seeds torch before every training step from (seed, epoch, step of the epoch, device).

    Dropout, stochastic depth and hidden metadata then depend on these alone: not on how often the
    training was interrupted, nor on what validation drew.

    Args:
        seed: Of the fold.
    """

    def __init__(self, seed: int) -> None:
        self.seed = seed

    def on_train_batch_start(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, batch: Any, batch_idx: int
    ) -> None:
        """Seed the step."""
        place = (self.seed, trainer.current_epoch, batch_idx, trainer.global_rank)
        seed = int(np.random.SeedSequence(place).generate_state(1, np.uint64)[0] >> 1)
        torch.manual_seed(seed)
        if pl_module.device.type == "xla":
            seed_device(pl_module.device, seed)


class PlaceInEpoch(Callback):
    """Keeps in every checkpoint which batches of the epoch are done, and leaves these out after it.

    Lightning would hand this to the data loader too, but not where a schedule has asked for the
    number of steps before the checkpoint is read.
    """

    def __init__(self) -> None:
        self.n_done = 0

    def state_dict(self) -> dict[str, Any]:
        """The batches that are done."""
        return {"n_done": self.n_done}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Take them from a checkpoint."""
        self.n_done = state_dict["n_done"]

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Leave out what is done; of an epoch that was done to its end, nothing."""
        n_left_out = self.n_done % int(trainer.num_training_batches)
        cast(ResumableLoader, trainer.train_dataloader).leave_out(n_left_out)

    def on_train_batch_end(
        self,
        trainer: pl.Trainer,
        pl_module: pl.LightningModule,
        outputs: Any,
        batch: Any,
        batch_idx: int,
    ) -> None:
        """Count the batch."""
        self.n_done = batch_idx + 1
