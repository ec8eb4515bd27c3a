"""The Lightning Trainer of a fold: the user's options, and what the contract needs beside them."""

import sys
import warnings
from typing import Any

import lightning.pytorch as pl
import pandas as pd
from lightning.fabric.utilities.exceptions import MisconfigurationException
from lightning.pytorch.callbacks import (
    Callback,
    LearningRateMonitor,
    ModelCheckpoint,
)

from melanoma.errors import ConfigError
from melanoma.images.datamodule import MelanomaDataModule
from melanoma.models.acceleration import device_of
from melanoma.run_folder import FoldFolder, RunFolder
from melanoma.tables import FOLD, IMAGE_NAME, PATIENT_ID, TARGET, patients_as_written
from melanoma.training.callbacks import EpochTable, LastValidation, PredictionTables
from melanoma.training.checkpoint_io import AtomicCheckpointIO, as_list, with_atomic_checkpoints
from melanoma.training.config import RunConfig
from melanoma.training.epochs import KeepEpochPredictions
from melanoma.training.loggers import create_loggers
from melanoma.training.moved import MovedFolder
from melanoma.training.noise import silence_known_noise
from melanoma.training.peers import OneDisk
from melanoma.training.photographs import ValidationPhotographs
from melanoma.training.precision import precision_of, with_precision
from melanoma.training.seeds import PlaceInEpoch, StepSeeds
from melanoma.training.stopping import FiniteLoss, PatientStop, StepCheckpoint, StopInTime
from melanoma.training.xla import (
    AtomicXLACheckpointIO,
    StepsOnXLA,
    leave_one_host_topology,
)

MONITORED = "val_auc"
# The options of a Trainer that is tried where its own devices are not, or are not to be touched.
ONE_PROCESSOR = {"accelerator": "cpu", "devices": 1, "strategy": "auto"}


def create_trainer(
    config: RunConfig, fold: int, data: MelanomaDataModule, deadline: float | None = None
) -> pl.Trainer:
    """The Lightning Trainer of one fold: the user's options, plus what the contract needs.

    Args:
        config: The run; its trainer options are passed on as they are.
        fold: Whose folder is written to.
        data: Set up, because the rows that will be predicted are known then.
        deadline: When training has to have stopped, by `time.monotonic()`; None for never.
    """
    options = dict(config.trainer)
    folder = RunFolder(config.run_dir).fold(fold)
    if options.get("logger") in (None, True):
        options["logger"] = create_loggers(config.logger, folder, config.run_dir.name)
    options["callbacks"] = [
        OneDisk(folder),
        *map(_as_further, as_list(options.get("callbacks"))),
        *([LearningRateMonitor("epoch")] if options["logger"] else []),
        *_callbacks(config, fold, folder, data),
        # They put themselves behind the module's own, such as the averaging of weights, and before the
        # checkpoints, which Lightning puts last.
        FiniteLoss(folder.last_checkpoint, f"fold {fold}"),
        StopInTime(folder.last_checkpoint, deadline, f"fold {fold}"),
    ]
    options = with_precision(options, data.image_size)
    writer = AtomicCheckpointIO
    if device_of(options.get("accelerator")) == "tpu":
        writer = AtomicXLACheckpointIO
        options["callbacks"].append(StepsOnXLA())
        leave_one_host_topology(options)
    options["plugins"] = with_atomic_checkpoints(options.get("plugins"), writer)
    if options.get("enable_progress_bar") is None:
        # In a file a bar is a mess; a line per epoch is printed anyway.
        options["enable_progress_bar"] = sys.stdout.isatty()
    options["default_root_dir"] = options.get("default_root_dir") or str(folder.path)
    return pl.Trainer(**options)


def check_trainer(config: RunConfig) -> None:
    """Check the trainer's options before any fold has a process, where Lightning would refuse them.

    Raises:
        ConfigError: With Lightning's reason, or because nothing would be trained.
    """
    for name in ("max_epochs", "max_steps", "accumulate_grad_batches", "check_val_every_n_epoch"):
        if config.trainer.get(name) == 0:
            raise ConfigError(f"--trainer.{name} 0: must be at least 1.")
    if config.trainer.get("precision") == "16-true":
        raise ConfigError(
            "--trainer.precision 16-true: a float16 has no number as small as the squared gradients of "
            "Adam, which would divide by zero. Choose bf16-true, or 16-mixed, whose weights and "
            "optimiser have 32 bits."
        )
    if not config.trainer.get("fast_dev_run"):
        _check_whole(config.trainer)
    if config.trainer.get("max_epochs") == -1 and config.trainer.get("max_steps", -1) == -1:
        raise ConfigError(
            "--trainer.max_epochs -1: the schedule of the learning rate needs an end. "
            "Give --trainer.max_epochs or --trainer.max_steps."
        )
    quiet = {"logger": False, "enable_progress_bar": False, "enable_model_summary": False}
    options = {**config.trainer, **quiet, "callbacks": None}
    try:
        with warnings.catch_warnings():
            silence_known_noise()
            pl.Trainer(**(options | _harmless_device(options, config.data["image_size"])))
    except (MisconfigurationException, ValueError, TypeError) as error:
        given = ", ".join(f"--trainer.{name}" for name in config.trainer if name in str(error))
        raise ConfigError(
            f"{given or '--trainer'}: {error} Change that option, or leave it out."
        ) from error


def _check_whole(options: dict[str, Any]) -> None:
    """Check that the best checkpoint, and a prediction of every image, come out at the end."""
    predicted = options.get("limit_predict_batches")
    for name, is_refused, why in (
        (
            "limit_train_batches",
            options.get("limit_train_batches") == 0,
            "nothing would be trained",
        ),
        # One batch (1) is not all of them (1.0).
        (
            "limit_predict_batches",
            predicted is not None and not (isinstance(predicted, float) and predicted == 1),
            "every image has to be predicted",
        ),
        ("overfit_batches", bool(options.get("overfit_batches")), "it validates on what it learns"),
        ("barebones", bool(options.get("barebones")), "there would be no best checkpoint"),
    ):
        if is_refused:
            raise ConfigError(
                f"--trainer.{name} {str(options[name]).lower()}: {why}. Leave it out; for a trial "
                "without files use --trainer.fast_dev_run true."
            )


def _harmless_device(options: dict[str, Any], image_size_px: int) -> dict[str, Any]:
    """What a Trainer is tried with: its own device, but no TPU.

    Lightning starts the cores with the Trainer, and they are given to one process: a fold's own.
    """
    if device_of(options.get("accelerator")) != "tpu":
        return {"precision": precision_of(options, image_size_px)}
    return {**ONE_PROCESSOR, "precision": "32-true", "plugins": None}


def _callbacks(
    config: RunConfig, fold: int, folder: FoldFolder, data: MelanomaDataModule
) -> list[Callback]:
    table = EpochTable(folder.metrics_csv, f"fold {fold}")
    callbacks: list[Callback] = [
        MovedFolder(folder.path),
        StepSeeds(config.seed + fold),
        PlaceInEpoch(),
        LastValidation(),
        table,
        KeepEpochPredictions(folder.epochs_npz, len(data.table("val"))),
        PredictionTables([(folder.oof_csv, _rows_to_predict(data, fold))]),
        # Two, because Lightning's `save_last` saves only when the best one has changed.
        ModelCheckpoint(
            folder.path,
            filename=folder.best_checkpoint.stem,
            monitor=MONITORED,
            mode="max",
            # The averaged weights get into a checkpoint only if it is a whole one.
            save_weights_only=config.model["ema_decay"] is None,
            # After each validation: left to itself, Lightning takes one of each batch (an interval of
            # 1) for one an epoch (1.0), and judges the last alone.
            save_on_train_epoch_end=False,
            enable_version_counter=False,
        ),
    ]
    if config.top_k > 1:
        callbacks.append(_top_checkpoints(folder, config.top_k))
    # After the others: what goes on from it finds theirs written, or writes them again.
    callbacks.append(_last_checkpoints(folder))
    if config.checkpoint_every_n_steps is not None:
        callbacks.append(_last_checkpoints(folder, config.checkpoint_every_n_steps))
    if config.photographs:
        pictures = folder.path / "photographs"
        callbacks.append(
            ValidationPhotographs(
                data.dataset("val"), data.table("val"), pictures, config.photographs
            )
        )
    if config.early_stopping_patience is not None:
        callbacks.append(PatientStop(table, config.early_stopping_patience))
    return callbacks


class _FurtherCheckpoints(ModelCheckpoint):
    """The user's own checkpoints, which may be set as ours are."""


def _as_further(callback: Callback) -> Callback:
    if type(callback) is ModelCheckpoint:
        callback.__class__ = _FurtherCheckpoints
    return callback


class _TopCheckpoints(ModelCheckpoint):
    """Further checkpoints: a class of its own, because Lightning tells callbacks apart by it."""


def _top_checkpoints(folder: FoldFolder, top_k: int) -> ModelCheckpoint:
    return _TopCheckpoints(
        folder.path / "top",
        filename="epoch={epoch:03d}-auc={val_auc:.4f}",
        auto_insert_metric_name=False,
        monitor=MONITORED,
        mode="max",
        save_top_k=top_k,
        save_on_train_epoch_end=False,  # as the best
        # An epoch that is trained again, after a failure, replaces what it left.
        enable_version_counter=False,
    )


def _last_checkpoints(folder: FoldFolder, n_steps: int | None = None) -> ModelCheckpoint:
    """Writes last.ckpt after each epoch, or after so many steps."""
    kind = ModelCheckpoint if n_steps is None else StepCheckpoint
    return kind(
        folder.path,
        filename=folder.last_checkpoint.stem,
        every_n_train_steps=n_steps,
        # Not after a validation within an epoch, or in an epoch without one: what is kept is whole.
        save_on_train_epoch_end=True if n_steps is None else None,
        enable_version_counter=False,
    )


def _rows_to_predict(data: MelanomaDataModule, fold: int) -> pd.DataFrame:
    validation = data.table("val")
    return pd.DataFrame(
        {
            IMAGE_NAME: validation[IMAGE_NAME],
            PATIENT_ID: patients_as_written(validation),
            FOLD: fold,
            TARGET: validation[TARGET],
        }
    )
