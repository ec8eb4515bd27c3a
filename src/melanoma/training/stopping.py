"""Stopping a training at any step, so that it can go on from there: out of time, asked to, gone bad."""

import math
import signal
import threading
import time
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from types import FrameType
from typing import Any

import lightning.pytorch as pl
import torch
from lightning.pytorch.callbacks import Callback, ModelCheckpoint
from torch import Tensor

from melanoma.errors import RunError, name_some
from melanoma.images.dataset import DrawSampler
from melanoma.tables import IMAGE_NAME
from melanoma.training.callbacks import AfterOthers, EpochTable, loss_of

# Several devices have to agree on stopping, which costs a message; one alone asks its clock.
_AGREE_EVERY_STEPS = 20
# A loss is looked at so often: each look makes the processor wait for the device.
_LOOK_EVERY_STEPS = 50


class TrainingStopped(Exception):  # noqa: N818 - no error: what was asked for
    """The training has stopped where it can go on, with everything written."""


def can_go_on_from_here(trainer: pl.Trainer) -> bool:
    """Whether a checkpoint written at the end of this batch says all that there is to do next.

    Not in the middle of an accumulation, whose gradients are in no checkpoint; nor where a validation
    or the end of the epoch follows, which Lightning leaves out when it goes on from there.
    """
    loop: Any = trainer.fit_loop.epoch_loop
    fetcher = trainer.fit_loop._data_fetcher
    return not (
        loop._should_accumulate() or loop._is_training_done or loop._should_check_val_fx(fetcher)
    )


class StepCheckpoint(ModelCheckpoint):
    """Lightning's of every so many steps, but only at steps from which training can go on.

    The end of the epoch, or the next step in turn, writes the checkpoint that is left out.
    """

    @property
    def state_key(self) -> str:
        """That of Lightning's, under which earlier checkpoints have its state."""
        return super().state_key.replace(type(self).__qualname__, ModelCheckpoint.__qualname__, 1)

    def on_train_batch_end(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, *step: Any
    ) -> None:
        """Write a checkpoint if it is time, and the place for one."""
        if can_go_on_from_here(trainer):
            super().on_train_batch_end(trainer, pl_module, *step)


class StopInTime(AfterOthers):
    """Ends the training before a moment, or when the process is asked to end, with a checkpoint.

    After each epoch it stops if the next one would not end in time, judged by the longest so far.
    Within an epoch it stops when the time is up. What has been begun is finished first: an
    accumulation, a validation, the end of an epoch.

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
        self._was_asked = False

    def on_sanity_check_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Answer SIGTERM as early as Lightning does."""
        self.on_train_start(trainer, pl_module)

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Answer SIGTERM, until the training ends, in Lightning's place.

        Lightning gives up at the end of the batch, without a checkpoint.
        """
        self._was_asked = self._was_asked or trainer.received_sigterm
        if threading.current_thread() is threading.main_thread():
            # Lightning puts back, when it is done, what there was before its own.
            signal.signal(signal.SIGTERM, partial(self._ask, trainer))

    def _ask(self, trainer: pl.Trainer, number: int, frame: FrameType | None) -> None:
        launcher = trainer.strategy.launcher
        if not self._was_asked and launcher is not None:
            launcher.kill(signal.Signals(number))
        self._was_asked = True

    def on_train_epoch_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Stop if asked to, or if this epoch would not end in time.

        The last checkpoint is of the epoch before.
        """
        self._stop_if_asked(trainer)
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
        asked = self._was_asked
        if not trainer.strategy.reduce_boolean_decision(
            asked or time.monotonic() >= self.deadline, all=False
        ):
            return
        if not can_go_on_from_here(trainer):
            return  # a later step, or the end of the epoch, is the place to stop
        trainer.save_checkpoint(self.checkpoint)
        self._stop(trainer, "asked to end" if asked else "the time is up")

    def on_train_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Stop before the predictions if asked to; the last checkpoint is of the whole training."""
        self._stop_if_asked(trainer, "after its training")

    def _stop_if_asked(self, trainer: pl.Trainer, where: str = "") -> None:
        if trainer.strategy.reduce_boolean_decision(self._was_asked, all=False):
            self._stop(trainer, "asked to end", where)

    def _stop(self, trainer: pl.Trainer, reason: str, where: str = "") -> None:
        if trainer.is_global_zero:
            print(
                f"{self.title} stops {where or f'in epoch {trainer.current_epoch + 1}'}: {reason}; "
                "the same command goes on from there",
                flush=True,
            )
        raise TrainingStopped(reason)


class PatientStop(Callback):
    """Ends the training after so many epochs without a better AUC, as the table of epochs has it.

    Where epochs have several validations, the best of each counts; where it is not each epoch that is
    validated, all of them count.

    Args:
        table: Before this one among the callbacks.
        patience: How many epochs.
    """

    def __init__(self, table: EpochTable, patience: int) -> None:
        self.table = table
        self.patience = patience

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Stop again where the checkpoint is that of a training which had stopped."""
        self.on_train_epoch_end(trainer, pl_module)

    def on_train_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Stop if the best epoch is too long ago."""
        if self.table.epochs_since_best >= self.patience:
            trainer.should_stop = True


class FiniteLoss(AfterOthers):
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
        loss = loss_of(outputs)
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
