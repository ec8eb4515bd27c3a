"""Training one fold from its configuration to `done.json`."""

import time
from dataclasses import dataclass
from typing import Any

import lightning.pytorch as pl
import pandas as pd
import torch

from melanoma.errors import ConfigError
from melanoma.files import sha256_of, write_json, writing_explained
from melanoma.images.datamodule import MelanomaDataModule
from melanoma.metrics import auc
from melanoma.models.acceleration import Acceleration
from melanoma.models.module import MelanomaModule
from melanoma.run_folder import LAST, PREDICT_FROM, FoldFolder, RunFolder
from melanoma.tables import OOF_COLUMNS, PREDICTION, TARGET, train_csv
from melanoma.training.config import RunConfig
from melanoma.training.memory import memory_explained
from melanoma.training.noise import silence_known_noise
from melanoma.training.peers import peers_explained
from melanoma.training.trainer import create_trainer


@dataclass(frozen=True)
class FoldResult:
    """What training a fold came to.

    Attributes:
        fold: Its number.
        auc: Area under the ROC curve of the validation images.
        predict_from: `last` or `best`: the checkpoint that predicted them.
        epoch: The epoch of that checkpoint, counted from 1.
        best_epoch: The epoch with the best validation AUC, counted from 1.
        seconds: Wall time of the whole fold in this process.
        predict_seconds: Of it, for predicting the validation images.
    """

    fold: int
    auc: float
    predict_from: str
    epoch: int
    best_epoch: int
    seconds: float
    predict_seconds: float

    def as_text(self) -> str:
        """The score with the epoch that it is of, for the terminal."""
        if self.predict_from == LAST:
            epoch = f"at the last epoch, {self.epoch}"
        else:
            epoch = f"at its own best epoch, {self.epoch}, which flatters"
        return f"fold {self.fold}: AUC {self.auc:.4f} {epoch}; {self.seconds:.0f} s"


def train_fold(config: RunConfig, fold: int) -> FoldResult | None:
    """Train one fold, keep its best and last checkpoint, and predict what it validates with one.

    The only function that trains; call it in a process of its own. Goes on from `last.ckpt` where
    there is one and the configuration says so.

    Returns:
        What it came to; None for a trial run (`trainer.fast_dev_run`), which leaves nothing, and
        on every device but the first.

    Raises:
        MelanomaError: If tables, photographs or settings cannot be used.
        TrainingStopped: If the time is up, or the process was asked to end: all is written.
    """
    started = time.monotonic()
    silence_known_noise()
    folder = RunFolder(config.run_dir).fold(fold)
    # Each fold gets first weights of its own: an average is worth more over different networks.
    pl.seed_everything(config.seed + fold, workers=True, verbose=False)
    data = config.data_module(fold)
    data.prepare_data()
    data.setup()
    module = config.module(data)
    trainer = create_trainer(config, fold, data, config.deadline)
    resume_from = _checkpoint_to_resume(folder) if config.resume else None
    _print_start(trainer, config, data, module.acceleration_on(trainer, data), resume_from)
    # Loggers write as they like: checkpoints and tables have messages of their own.
    with (
        memory_explained(config),
        peers_explained(folder.title, trainer.world_size),
        writing_explained(folder.path),
    ):
        trainer.fit(module, datamodule=data, ckpt_path=resume_from, weights_only=True)
    if trainer.fast_dev_run:  # type: ignore[attr-defined]
        return None
    predicting = time.monotonic()
    epochs = _predict(config, trainer, module, data)
    trainer.strategy.barrier("predictions are written")
    predict_seconds = time.monotonic() - predicting
    if not trainer.is_global_zero:
        return None
    return _finish(config, data, epochs, started, predict_seconds)


def _print_start(
    trainer: pl.Trainer,
    config: RunConfig,
    data: MelanomaDataModule,
    acceleration: Acceleration,
    resume_from: str | None,
) -> None:
    if trainer.is_global_zero:
        how = ", ".join(filter(None, [trainer.precision, str(acceleration)]))
        origin = f", going on from {resume_from}" if resume_from else ""
        print(
            f"fold {data.fold}: {config.model['backbone']} at {data.image_size} pixels on "
            f"{trainer.num_devices} {trainer.accelerator.name()} ({how}), "
            f"{len(data.table('train'))} images to train on, "
            f"{len(data.table('val'))} to validate{origin}",
            flush=True,
        )


def _checkpoint_to_resume(folder: FoldFolder) -> str | None:
    return str(folder.last_checkpoint) if folder.last_checkpoint.is_file() else None


@dataclass(frozen=True)
class _Epochs:
    """Epochs counted from 1."""

    predicting: int
    best: int


def _predict(
    config: RunConfig, trainer: pl.Trainer, module: MelanomaModule, data: MelanomaDataModule
) -> _Epochs:
    """Predict the validation images with the checkpoint that the configuration names."""
    folder = RunFolder(config.run_dir).fold(data.fold)
    if not folder.best_checkpoint.is_file():
        raise ConfigError(
            f"no epoch had a validation AUC, so there is no best checkpoint in {folder.path}. "
            "Train for at least one whole epoch (--trainer.max_epochs)."
        )
    checkpoint = torch.load(folder.checkpoint_of(config.predict_from), weights_only=True)
    # Loaded here and not by the trainer: the averaging of weights would put the raw ones back.
    module.load_state_dict(checkpoint["state_dict"])
    trainer.predict(module, dataloaders=data.val_dataloader(), return_predictions=False)
    # Mapped, so that no tensor is read for the sake of a number.
    best = torch.load(folder.best_checkpoint, weights_only=True, mmap=True)
    return _Epochs(int(checkpoint["epoch"]) + 1, int(best["epoch"]) + 1)


def _finish(
    config: RunConfig,
    data: MelanomaDataModule,
    epochs: _Epochs,
    started: float,
    predict_seconds: float,
) -> FoldResult:
    folder = RunFolder(config.run_dir).fold(data.fold)
    oof = pd.read_csv(folder.oof_csv, usecols=OOF_COLUMNS)
    result = FoldResult(
        fold=data.fold,
        auc=auc(oof[TARGET], oof[PREDICTION]),
        predict_from=config.predict_from,
        epoch=epochs.predicting,
        best_epoch=epochs.best,
        seconds=time.monotonic() - started,
        predict_seconds=predict_seconds,
    )
    write_json(folder.done_json, _done(result, data, folder))
    return result


def _done(result: FoldResult, data: MelanomaDataModule, folder: FoldFolder) -> dict[str, Any]:
    made = [folder.best_checkpoint, folder.last_checkpoint, folder.metrics_csv, folder.oof_csv]
    if folder.epochs_npz.is_file():  # an earlier version may have trained this fold to its end
        made.append(folder.epochs_npz)
    inputs = {"train_sha256": train_csv(data.data_dir), "folds_sha256": data.folds_csv}
    return {
        "fold": result.fold,
        "auc": result.auc,
        PREDICT_FROM: result.predict_from,
        "epoch": result.epoch,
        "best_epoch": result.best_epoch,
        "leaking_patients": len(data.leaking_patients[data.fold]),
        "seconds": round(result.seconds, 1),
        "predict_seconds": round(result.predict_seconds, 3),
        **{name: sha256_of(path) for name, path in inputs.items()},
        "files": {path.name: sha256_of(path) for path in made},
    }
