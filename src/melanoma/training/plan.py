"""What the loop of a fold will come to, computed before it is trained: batches, and their classes."""

from collections.abc import Mapping, Sequence
from typing import Any

from melanoma.errors import ConfigError
from melanoma.images.datamodule import MelanomaDataModule
from melanoma.tables import TARGET

# Lightning's, where neither epochs nor steps are given.
_MOST_EPOCHS = 1000
# A share of the batches, as Lightning takes a fraction; a number is so many of them.
Limit = int | float | None


def check_plan(options: Mapping[str, Any], data: MelanomaDataModule, folds: Sequence[int]) -> None:
    """Check that every epoch trains a step, and every validation sees both classes.

    Args:
        options: Of the Trainer.
        data: Of any of the folds.
        folds: That are to be trained.

    Raises:
        ConfigError: If there would be no step, no validation, or a validation without an AUC.
    """
    size = data.batch_size * _n_devices(options)
    for fold in folds:
        training, validation = data.rows_of(fold)
        n_batches = n_training_batches(options, len(training), data.batch_size)
        n_steps = _limited(options, "limit_train_batches", n_batches, fold)
        _check_interval(options, n_steps, fold)
        _check_epochs(options, n_steps)
        n_batches = -(-len(validation) // size)
        n_seen = size * _limited(options, "limit_val_batches", n_batches, fold)
        if validation[TARGET].iloc[:n_seen].nunique() < 2:
            raise ConfigError(
                f"--trainer.limit_val_batches {options['limit_val_batches']}: the {n_seen} images that "
                f"fold {fold} would validate with it are all of one class, so that there is no AUC to "
                "choose the best checkpoint by. Give more, or leave it out."
            )


def n_training_batches(options: Mapping[str, Any], n_images: int, batch_size: int) -> int:
    """How many batches an epoch has on each device, without a limit.

    Args:
        options: Of the Trainer.
        n_images: That are trained on.
        batch_size: Of each device.
    """
    # Fewer images than a batch are a smaller batch.
    return max(1, n_images // (batch_size * _n_devices(options)))


def _limited(options: Mapping[str, Any], name: str, n_batches: int, fold: int) -> int:
    """How many batches are left of an epoch's."""
    limit: Limit = options.get(name)
    if limit is None:
        return n_batches
    n_left = min(limit, n_batches) if isinstance(limit, int) else int(n_batches * limit)
    if n_left < 1:
        raise ConfigError(
            f"--trainer.{name} {limit}: of the {n_batches} batches that fold {fold} has, none is left. "
            f"Give at least {1 / n_batches:.2g}, or a number of batches."
        )
    return n_left


def _check_interval(options: Mapping[str, Any], n_batches: int, fold: int) -> None:
    interval: Limit = options.get("val_check_interval")
    if not isinstance(interval, int | float):
        return
    of, n_counted = "an epoch", n_batches
    if options.get("check_val_every_n_epoch", 1) is None:  # counted on from epoch to epoch
        if _a_step_ends_it(options, n_batches):
            return
        of, n_counted = "in all", n_batches * (options.get("max_epochs") or _MOST_EPOCHS)
    is_number = isinstance(interval, int)
    if (is_number and interval > n_counted) or (not is_number and int(n_counted * interval) < 1):
        raise ConfigError(
            f"--trainer.val_check_interval {interval}: fold {fold} has {n_counted} batches {of}, so "
            f"that there would be no validation. Give at most {n_counted}, or a share of an epoch from "
            f"{1 / n_batches:.2g} to 1.0."
        )


def _check_epochs(options: Mapping[str, Any], n_batches: int) -> None:
    every, epochs = (
        options.get("check_val_every_n_epoch"),
        options.get("max_epochs") or _MOST_EPOCHS,
    )
    if every is not None and epochs < every and not _a_step_ends_it(options, n_batches):
        raise ConfigError(
            f"--trainer.check_val_every_n_epoch {every}: none of {epochs} epochs would be validated, "
            "and the best checkpoint is chosen by the validation AUC. "
            f"Give at most {epochs}, or more --trainer.max_epochs."
        )


def _a_step_ends_it(options: Mapping[str, Any], n_batches: int) -> bool:
    """Whether the training ends by a number of steps: the last of them is validated."""
    steps, epochs = options.get("max_steps", -1), options.get("max_epochs")
    n_steps = -(-n_batches // (options.get("accumulate_grad_batches") or 1))
    return steps >= 0 and (epochs in (None, -1) or steps <= epochs * n_steps)


def _n_devices(options: Mapping[str, Any]) -> int:
    devices = options.get("devices")
    # What is not known before is taken for one, which refuses too little.
    return (devices if isinstance(devices, int) and devices > 0 else 1) * (
        options.get("num_nodes") or 1
    )
