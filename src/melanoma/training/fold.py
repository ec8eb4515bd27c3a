"""Training one fold from its configuration to `done.json`."""

import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import lightning.pytorch as pl
import pandas as pd
from lightning.pytorch.callbacks import Callback, EarlyStopping, ModelCheckpoint
from lightning.pytorch.loggers import TensorBoardLogger

from melanoma.errors import ConfigError
from melanoma.files import sha256_of, write_json
from melanoma.images.datamodule import MelanomaDataModule
from melanoma.metrics import auc
from melanoma.models.module import MelanomaModule
from melanoma.run_folder import FoldFolder, RunFolder
from melanoma.tables import (
    FOLD,
    IMAGE_NAME,
    OOF_COLUMNS,
    PATIENT_ID,
    PREDICTION,
    TARGET,
    patients_of,
    test_csv,
    train_csv,
)
from melanoma.training.callbacks import EpochTable, PredictionTables
from melanoma.training.config import RunConfig
from melanoma.training.noise import silence_known_noise

MONITORED = "val_auc"


@dataclass(frozen=True)
class FoldResult:
    """What training a fold came to.

    Attributes:
        fold: Its number.
        auc: Area under the ROC curve of the validation images, by the best checkpoint.
        best_epoch: The epoch of that checkpoint, counted from 1.
        seconds: Wall time of the whole fold in this process.
    """

    fold: int
    auc: float
    best_epoch: int
    seconds: float


def train_fold(config: RunConfig, fold: int) -> FoldResult | None:
    """Train one fold, keep its best and its last checkpoint, and predict with the best.

    The only function that trains; call it in a process of its own. Goes on from `last.ckpt` where
    there is one and the configuration says so.

    Returns:
        What it came to; None for a trial run (`trainer.fast_dev_run`), which leaves nothing, and
        on every device but the first.

    Raises:
        MelanomaError: If tables, photographs or settings cannot be used.
    """
    started = time.monotonic()
    silence_known_noise()
    folder = RunFolder(config.run_dir).fold(fold)
    # Each fold gets first weights of its own: an average is worth more over different networks.
    pl.seed_everything(config.seed + fold, workers=True, verbose=False)
    data = config.data_module(fold)
    data.prepare_data()
    data.setup()
    module = config.module()
    resume_from = _checkpoint_to_resume(folder) if config.resume else None
    if resume_from is None:
        module.load_pretrained_weights()
    trainer = create_trainer(config, fold, data)
    _print_start(trainer, config, data, resume_from)
    trainer.fit(module, datamodule=data, ckpt_path=resume_from, weights_only=True)
    if trainer.fast_dev_run:  # type: ignore[attr-defined]
        return None
    _predict_with_best(trainer, module, data, folder)
    trainer.strategy.barrier("predictions are written")
    return _finish(data, folder, started) if trainer.is_global_zero else None


def create_trainer(config: RunConfig, fold: int, data: MelanomaDataModule) -> pl.Trainer:
    """The Lightning Trainer of one fold: the user's options, plus what the contract needs.

    Args:
        config: The run; its trainer options are passed on as they are.
        fold: Whose folder is written to.
        data: Set up, because the rows that will be predicted are known then.
    """
    options = dict(config.trainer)
    folder = RunFolder(config.run_dir).fold(fold)
    if options.get("logger") in (None, True):
        options["logger"] = TensorBoardLogger(folder.path, name="", version="tensorboard")
    asked_for = options.get("callbacks") or []
    options["callbacks"] = [
        *(asked_for if isinstance(asked_for, list) else [asked_for]),
        *_callbacks(config, fold, folder, data),
    ]
    if options.get("enable_progress_bar") is None:
        # In a file a bar is a mess; a line per epoch is printed anyway.
        options["enable_progress_bar"] = sys.stdout.isatty()
    options["default_root_dir"] = options.get("default_root_dir") or str(folder.path)
    return pl.Trainer(**options)


def _callbacks(
    config: RunConfig, fold: int, folder: FoldFolder, data: MelanomaDataModule
) -> list[Callback]:
    callbacks: list[Callback] = [
        EpochTable(folder.metrics_csv, f"fold {fold}"),
        PredictionTables(_tables_to_predict(data, folder, fold)),
        # Two, because Lightning's `save_last` saves only when the best one has changed.
        ModelCheckpoint(
            folder.path,
            filename=folder.best_checkpoint.stem,
            monitor=MONITORED,
            mode="max",
            save_weights_only=True,
            enable_version_counter=False,
        ),
        ModelCheckpoint(
            folder.path, filename=folder.last_checkpoint.stem, enable_version_counter=False
        ),
    ]
    if config.early_stopping_patience is not None:
        callbacks.append(
            EarlyStopping(MONITORED, patience=config.early_stopping_patience, mode="max")
        )
    return callbacks


def _tables_to_predict(
    data: MelanomaDataModule, folder: FoldFolder, fold: int
) -> list[tuple[Path, pd.DataFrame]]:
    validation = data.table("val")
    oof = pd.DataFrame(
        {
            IMAGE_NAME: validation[IMAGE_NAME],
            PATIENT_ID: patients_of(validation),
            FOLD: fold,
            TARGET: validation[TARGET],
        }
    )
    tables = [(folder.oof_csv, oof)]
    if data.has_test_set:
        tables.append((folder.test_csv, data.table("test")[[IMAGE_NAME]]))
    return tables


def _print_start(
    trainer: pl.Trainer, config: RunConfig, data: MelanomaDataModule, resume_from: str | None
) -> None:
    if trainer.is_global_zero:
        origin = f", going on from {resume_from}" if resume_from else ""
        print(
            f"fold {data.fold}: {config.model['backbone']} at {data.image_size} pixels on "
            f"{trainer.num_devices} {trainer.accelerator.name()} ({trainer.precision}), "
            f"{len(data.table('train'))} images to train on, "
            f"{len(data.table('val'))} to validate{origin}",
            flush=True,
        )


def _checkpoint_to_resume(folder: FoldFolder) -> str | None:
    return str(folder.last_checkpoint) if folder.last_checkpoint.is_file() else None


def _predict_with_best(
    trainer: pl.Trainer, module: MelanomaModule, data: MelanomaDataModule, folder: FoldFolder
) -> None:
    if not folder.best_checkpoint.is_file():
        raise ConfigError(
            f"no epoch had a validation AUC, so there is no best checkpoint in {folder.path}. "
            "Train for at least one whole epoch (--trainer.max_epochs)."
        )
    loaders = [data.val_dataloader()]
    if data.has_test_set:
        loaders.append(data.test_dataloader())
    trainer.predict(
        module,
        dataloaders=loaders,
        return_predictions=False,
        ckpt_path=str(folder.best_checkpoint),
        weights_only=True,
    )


def _finish(data: MelanomaDataModule, folder: FoldFolder, started: float) -> FoldResult:
    oof = pd.read_csv(folder.oof_csv, usecols=OOF_COLUMNS)
    metrics = pd.read_csv(folder.metrics_csv)
    result = FoldResult(
        fold=data.fold,
        auc=auc(oof[TARGET], oof[PREDICTION]),
        best_epoch=int(metrics["epoch"].to_numpy()[metrics[MONITORED].argmax()]) + 1,
        seconds=time.monotonic() - started,
    )
    write_json(folder.done_json, _done(result, data, folder))
    return result


def _done(result: FoldResult, data: MelanomaDataModule, folder: FoldFolder) -> dict[str, Any]:
    made = [folder.best_checkpoint, folder.last_checkpoint, folder.metrics_csv, folder.oof_csv]
    if data.has_test_set:
        made.append(folder.test_csv)
    inputs = {"train_sha256": train_csv(data.data_dir), "folds_sha256": data.folds_csv}
    if data.has_test_set:
        inputs["test_sha256"] = test_csv(data.data_dir)
    return {
        "fold": result.fold,
        "auc": result.auc,
        "best_epoch": result.best_epoch,
        "seconds": round(result.seconds, 1),
        **{name: sha256_of(path) for name, path in inputs.items()},
        "files": {path.name: sha256_of(path) for path in made},
    }
