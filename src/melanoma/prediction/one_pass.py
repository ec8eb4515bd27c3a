"""The pass itself: a Trainer, photographs per step, and what happens when they do not fit."""

import sys
from typing import cast

import lightning.pytorch as pl
import torch
from lightning.fabric.utilities.exceptions import MisconfigurationException

from melanoma.errors import ConfigError, RunError
from melanoma.images.prediction_datamodule import PredictionDataModule
from melanoma.models.acceleration import device_of
from melanoma.models.fold_ensemble import FoldEnsemble
from melanoma.models.module import MelanomaModule
from melanoma.prediction.memory import (
    bytes_per_photograph,
    fitting_batch_size,
    free_bytes,
    wanted_batch_size,
)
from melanoma.training.accelerators import check_accelerator
from melanoma.training.callbacks import PredictionTables
from melanoma.training.config import RunConfig
from melanoma.training.precision import with_precision
from melanoma.training.xla import leave_one_host_topology

# What prediction shares with training, on one machine; all else about its Trainer is decided here.
_OF_THE_MACHINE = [
    *("accelerator", "strategy", "devices", "precision", "plugins"),
    *("benchmark", "deterministic"),
]


def create_trainer(config: RunConfig, tables: PredictionTables) -> pl.Trainer:
    """A Trainer on the devices and in the precision of the run, that writes these tables.

    Raises:
        ConfigError: If the machine does not have them.
    """
    shown = config.trainer["enable_progress_bar"]
    machine = {name: config.trainer[name] for name in _OF_THE_MACHINE}
    check_accelerator(machine, prefix="--")
    leave_one_host_topology(machine)
    try:
        return pl.Trainer(
            **with_precision(machine, config.data["image_size"]),
            callbacks=[tables],
            logger=False,
            enable_checkpointing=False,
            enable_model_summary=False,
            enable_progress_bar=sys.stdout.isatty() if shown is None else shown,
            default_root_dir=str(config.run_dir),
        )
    except (MisconfigurationException, TypeError, ValueError) as error:
        raise ConfigError(
            f"this machine cannot do what the run or an option asks for: {str(error).rstrip('.')}. "
            "Give --accelerator, --devices or --precision that it has, such as --accelerator cpu."
        ) from error


def device_for(trainer: pl.Trainer) -> torch.device:
    """The device of a Trainer, or of the first of several processes that it will start on a TPU."""
    is_tpu = device_of(trainer.accelerator) == "tpu"
    return torch.device("xla") if is_tpu else trainer.strategy.root_device


def choose_batch_size(config: RunConfig, ensemble: FoldEnsemble, trainer: pl.Trainer) -> int:
    """Photographs per step and device; a line is printed where little free memory makes it smaller."""
    device = device_for(trainer)
    backbone = cast(MelanomaModule, ensemble.members[0]).network.backbone
    size_px = config.data["image_size"]
    photograph_bytes = bytes_per_photograph(backbone, size_px)
    wanted = wanted_batch_size(device, config.data["batch_size"], photograph_bytes, size_px)
    fitting = fitting_batch_size(wanted, free_bytes(device), photograph_bytes)
    if fitting < wanted and trainer.is_global_zero:
        print(
            f"{fitting} photographs per step instead of {wanted}: {device} has too little free "
            "memory now. The last digits of the predictions may differ for that.",
            flush=True,
        )
    return fitting


def predict(trainer: pl.Trainer, ensemble: FoldEnsemble, data: PredictionDataModule) -> None:
    """Show every photograph to every network.

    Raises:
        RunError: If a step does not fit into the memory of a GPU, with the option that helps.
    """
    try:
        trainer.predict(ensemble, datamodule=data, return_predictions=False)
    except torch.OutOfMemoryError as error:
        raise RunError(
            f"{data.batch_size} photographs per step do not fit into the memory of the device. Give "
            f"--batch-size {max(1, data.batch_size // 2)}, or end what else runs on it."
        ) from error
