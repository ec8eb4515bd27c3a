"""Stopping a training at any step, so that it can go on from there: out of time, asked to, gone bad."""

import math
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import lightning.pytorch as pl
import torch
from lightning.pytorch.callbacks import Callback, EarlyStopping
from torch import Tensor

from melanoma.errors import RunError, name_some
from melanoma.images.dataset import DrawSampler
from melanoma.tables import IMAGE_NAME

# Several devices have to agree on stopping, which costs a message; one alone asks its clock.
_AGREE_EVERY_STEPS = 20
# A loss is looked at so often: each look makes the processor wait for the device.
_LOOK_EVERY_STEPS = 50


class TrainingStopped(Exception):  # noqa: N818 - no error: what was asked for
    """The training has stopped where it can go on, with everything written."""


class StopInTime(Callback):
    """Ends the training before a moment, or when the process is asked to end, with a checkpoint.

    After each epoch it stops if the next one would not end in time, judged by the longest so far.
    Within an epoch it stops when the time is up.

    Args:
        checkpoint: Where the state is written.
        deadline: By `time.monotonic()`; None for no limit of time.
        title: Of the line that is printed.
    """

    def __init__(self, checkpoint: Path, deadline: float | None, title: str) -> None:
        self.checkpoint = checkpoint
        self.deadline = math.inf if deadline is None else deadline
        self.title = title
        self._epoch_started: float | None = None
        self._longest_s = 0.0

    def on_train_epoch_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Stop if this epoch would not end in time; the last checkpoint is of the one before."""
        now = time.monotonic()
        fits = True  # as far as can be known before one has ended
        if self._epoch_started is not None:
            self._longest_s = max(self._longest_s, now - self._epoch_started)
            fits = now + self._longest_s < self.deadline
        self._epoch_started = now
        if not trainer.strategy.reduce_boolean_decision(fits, all=True):
            self._stop(
                trainer, f"an epoch takes {self._longest_s:.0f} s, which do not fit any more"
            )

    def on_train_batch_end(
        self,
        trainer: pl.Trainer,
        pl_module: pl.LightningModule,
        outputs: Any,
        batch: Any,
        batch_idx: int,
    ) -> None:
        """Write a checkpoint and stop if the time is up, or the process was asked to end."""
        if trainer.world_size > 1 and (batch_idx + 1) % _AGREE_EVERY_STEPS:
            return
        asked = bool(trainer.received_sigterm)
        if not trainer.strategy.reduce_boolean_decision(
            asked or time.monotonic() >= self.deadline, all=False
        ):
            return
        if trainer.fit_loop._should_accumulate():
            return  # gradients are not part of a checkpoint: the next step is the place to stop
        trainer.save_checkpoint(self.checkpoint)
        self._stop(trainer, "asked to end" if asked else "the time is up")

    def _stop(self, trainer: pl.Trainer, reason: str) -> None:
        if trainer.is_global_zero:
            print(
                f"{self.title} stops in epoch {trainer.current_epoch + 1}: {reason}; "
                "the same command goes on from there",
                flush=True,
            )
        raise TrainingStopped(reason)


class ResumableEarlyStopping(EarlyStopping):
    """Lightning's, which would train another epoch if it is resumed after it has stopped."""

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Stop again where the checkpoint is that of a training which had stopped."""
        if self.wait_count >= self.patience:
            trainer.should_stop = True


class FiniteLoss(Callback):
    """Stops a training whose loss is no number any more, before a checkpoint is made of it.

    The first such step is kept on the device and looked at now and then: no step waits for it.

    Args:
        last_checkpoint: Named as the last good state.
        title: Of the message.
    """

    def __init__(self, last_checkpoint: Path, title: str) -> None:
        self.last_checkpoint = last_checkpoint
        self.title = title
        self._step: Tensor | None = None
        self._first_bad: Tensor | None = None

    def on_train_batch_end(
        self,
        trainer: pl.Trainer,
        pl_module: pl.LightningModule,
        outputs: Tensor | Mapping[str, Any] | None,
        batch: Any,
        batch_idx: int,
    ) -> None:
        """Note the step if its loss is not finite.

        Raises:
            RunError: See `check`.
        """
        loss = outputs["loss"] if isinstance(outputs, Mapping) else outputs
        if loss is None:
            return
        if self._step is None or self._first_bad is None:
            self._step = torch.full((), batch_idx, device=loss.device)
            self._first_bad = torch.full((), -1, device=loss.device)
        is_first = ~torch.isfinite(loss.detach()) & (self._first_bad < 0)
        self._first_bad = torch.where(is_first, self._step, self._first_bad)
        # Counted on the device: a number of ours would be sent to it at every step.
        self._step = self._step + 1
        if (batch_idx + 1) % _LOOK_EVERY_STEPS == 0:
            self.check(trainer)

    def on_validation_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Look before the epoch is validated and kept."""
        self.check(trainer)

    def on_train_epoch_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Count steps from the start of the epoch."""
        self._step = self._first_bad = None

    def on_save_checkpoint(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, checkpoint: dict[str, Any]
    ) -> None:
        """Never keep a state that came of such a loss."""
        self.check(trainer)

    def check(self, trainer: pl.Trainer) -> None:
        """Look at the losses so far.

        Raises:
            RunError: Naming the first step whose loss is not finite, the images of its batch, and
                the last good checkpoint.
        """
        step = -1 if self._first_bad is None else int(self._first_bad)
        if step < 0:
            return
        kept = self.last_checkpoint.is_file()
        good = f"The last good checkpoint is {self.last_checkpoint}. " if kept else ""
        raise RunError(
            f"{self.title}: the loss is not a number from step {step + 1} of epoch "
            f"{trainer.current_epoch + 1} on; its batch: {name_some(_images_of(trainer, step))}. "
            f"{good}Lower --model.learning_rate, limit gradients by --trainer.gradient_clip_val 1, "
            "or train with --trainer.precision 32-true; then start again with --overwrite."
        )


def _images_of(trainer: pl.Trainer, step: int) -> list[str]:
    """The images of a batch of the running epoch, from the order that the sampler would give."""
    data: Any = trainer.datamodule  # type: ignore[attr-defined]
    loader: Any = trainer.train_dataloader
    if data is None or not isinstance(getattr(loader, "sampler", None), DrawSampler):
        return ["unknown"]
    draws = list(loader.sampler.all_draws())
    size = loader.batch_size
    names = data.table("train")[IMAGE_NAME]
    return [names[draw.row] for draw in draws[step * size : (step + 1) * size]]
