"""Trials before training: Lightning's own search for a learning rate, and for a batch size."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import lightning.pytorch as pl
from lightning.pytorch.tuner.tuning import Tuner

from melanoma.errors import ConfigError, RunError
from melanoma.files import write_atomically
from melanoma.images.datamodule import MelanomaDataModule
from melanoma.models.acceleration import device_of
from melanoma.models.module import MelanomaModule
from melanoma.training.accelerators import check_accelerator
from melanoma.training.config import RunConfig
from melanoma.training.noise import silence_known_noise
from melanoma.training.precision import with_precision

_STEPS = 100
_LOWEST, _HIGHEST = 1e-6, 0.3
_MOST_SIZES = 12


@dataclass(frozen=True)
class FoundRate:
    """The suggestion, and the picture of loss against rate."""

    learning_rate: float
    picture: Path


def find_learning_rate(config: RunConfig, fold: int, n_steps: int = _STEPS) -> FoundRate:
    """Train for some steps at rates rising from 1e-6 to 0.3 and suggest where the loss falls fastest.

    Nothing of the run is changed. Source: Smith, WACV 2017; Lightning's Tuner.

    Args:
        config: The run.
        fold: Which fold's training photographs are used.
        n_steps: Steps of the trial.

    Raises:
        MelanomaError: If tables, photographs or settings cannot be used, or no rate can be told.
    """
    import matplotlib as mpl

    mpl.use("Agg")
    tuner, data, module = _prepare(config, fold, max_epochs=n_steps + 1, callbacks=None)
    finder = tuner.lr_find(
        module, datamodule=data, min_lr=_LOWEST, max_lr=_HIGHEST, num_training=n_steps
    )
    suggestion = finder.suggestion() if finder else None
    figure = finder.plot(suggest=True) if finder else None
    if suggestion is None or figure is None:
        raise RunError(
            f"--find_lr: {n_steps} steps show no rate at which the loss falls. Try another "
            "--data.batch_size, or choose --model.learning_rate by hand."
        )
    path = write_atomically(config.run_dir / "learning_rate.png", figure.savefig)
    return FoundRate(float(suggestion), path)


def find_batch_size(config: RunConfig, fold: int) -> int:
    """The largest power of two that fits into the memory of a GPU, tried by Lightning's Tuner.

    Nothing of the run is changed.

    Raises:
        MelanomaError: If tables, photographs or settings cannot be used, or there is no GPU.
    """
    if device_of(config.trainer.get("accelerator")) != "cuda":
        raise ConfigError(
            "--find_batch_size: needs a GPU. A processor's memory is shared with everything else "
            "that runs, and larger batches than 32 to 64 gain nothing there."
        )
    tuner, data, module = _prepare(config, fold)
    found = tuner.scale_batch_size(module, datamodule=data, max_trials=_MOST_SIZES)
    return int(found or data.batch_size)


def _prepare(
    config: RunConfig, fold: int, **asked: Any
) -> tuple[Tuner, MelanomaDataModule, MelanomaModule]:
    """What is tried, as training would have it, in a Trainer that leaves nothing."""
    check_accelerator(config.trainer)
    silence_known_noise()
    pl.seed_everything(config.seed, workers=True, verbose=False)
    data = config.data_module(fold)
    data.prepare_data()
    data.setup()
    config.run_dir.mkdir(parents=True, exist_ok=True)
    quiet = {"enable_checkpointing": False, "enable_model_summary": False, "logger": False}
    options = {**with_precision(config.trainer, data.image_size), **quiet, **asked}
    trainer = pl.Trainer(**{**options, "default_root_dir": str(config.run_dir)})
    return Tuner(trainer), data, config.module(data)
