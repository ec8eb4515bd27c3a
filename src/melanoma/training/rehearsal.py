"""A step of training, validation and prediction that is thrown away, before a run begins."""

import io
import warnings
from collections.abc import Mapping
from contextlib import redirect_stdout
from copy import deepcopy
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import lightning.pytorch as pl
from lightning.pytorch.callbacks import (
    Callback,
    DeviceStatsMonitor,
    ModelCheckpoint,
    ProgressBar,
)
from lightning.pytorch.loggers.logger import DummyLogger
from lightning.pytorch.utilities.seed import isolate_rng

from melanoma.errors import ConfigError, MelanomaError
from melanoma.images.datamodule import MelanomaDataModule
from melanoma.models.acceleration import device_of
from melanoma.models.module import MelanomaModule
from melanoma.run_folder import RunFolder
from melanoma.training.checkpoint_io import as_list
from melanoma.training.config import RunConfig
from melanoma.training.noise import silence_known_noise
from melanoma.training.plan import n_training_batches
from melanoma.training.stopping import FiniteLoss, StopInTime
from melanoma.training.trainer import ONE_PROCESSOR, create_trainer


def rehearse(config: RunConfig, data: MelanomaDataModule, module: MelanomaModule) -> None:
    """Train on two photographs, validate two, and predict them, as the folds will.

    What options refuse together is found here, and not after hours. It happens on the processor, in
    a folder that is removed, without the user's own callbacks and loggers; what is random is drawn
    as if it had not been.

    Args:
        config: Of the run.
        data: Of any of its folds, set up.
        module: Of that fold, which cannot be used for anything else afterwards.

    Raises:
        ConfigError: With what the step ended with.
    """
    module.skip_pretrained_weights()
    module.hparams["torch_compile"] = False  # which takes minutes, and was found to be there
    with (
        TemporaryDirectory() as folder,
        isolate_rng(),
        redirect_stdout(io.StringIO()),
        warnings.catch_warnings(),
    ):
        silence_known_noise()
        trial = replace(
            config,
            run_dir=Path(folder),
            photographs=0,
            trainer=_trial_options(config.trainer, Path(folder)),
        )
        RunFolder(trial.run_dir).fold(data.fold).path.mkdir(parents=True)
        few = data.excerpt(
            n_training_batches(config.trainer, len(data.dataset("train")), data.batch_size)
        )
        try:
            trainer = create_trainer(trial, data.fold, few)
            _leave_out(trainer, StopInTime, FiniteLoss)
            trainer.fit(module, datamodule=few, weights_only=True)
            trainer.predict(module, dataloaders=few.val_dataloader(), return_predictions=False)
        except MelanomaError:
            raise
        except Exception as error:
            raise ConfigError(
                "a trial step of training, validation and prediction on a few photographs ended with "
                f"{type(error).__name__}: {error} Leave out the option of --trainer, --model or "
                "--data that it speaks of; --trainer.fast_dev_run true shows where it comes from."
            ) from error


class _OneStep(Callback):
    """Ends a training after its first step; its schedule is still that of all of them."""

    def on_train_batch_end(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, *step: Any
    ) -> None:
        """Ask the loop to end, which validates before."""
        trainer.should_stop = trainer.global_step > 0


def _trial_options(options: Mapping[str, Any], folder: Path) -> dict[str, Any]:
    """A Trainer's options for one step of each kind, on the processor and in that folder."""
    further = [_moved(c, folder) for c in as_list(options.get("callbacks")) if _is_harmless(c)]
    trial = {
        **options,
        **ONE_PROCESSOR,
        "num_nodes": 1,
        "callbacks": [*further, _OneStep()],
        "logger": False if options.get("logger") is False else DummyLogger(),
        "default_root_dir": str(folder),
        "profiler": None,
        "enable_progress_bar": False,
        "enable_model_summary": False,
        "num_sanity_val_steps": 0,
        "min_epochs": None,
        "min_steps": None,
        "limit_val_batches": None,
        "val_check_interval": None,
        "check_val_every_n_epoch": 1,
    }
    if device_of(options.get("accelerator")) != "cpu":
        trial |= {"precision": "32-true", "plugins": None}
    return trial


def _is_harmless(callback: Callback) -> bool:
    """Whether a callback is Lightning's, and of any device: what others would do is not known."""
    is_lightnings = type(callback).__module__.partition(".")[0] == "lightning"
    return is_lightnings and not isinstance(callback, ProgressBar | DeviceStatsMonitor)


def _moved(callback: Callback, folder: Path) -> Callback:
    copy = deepcopy(callback)
    if isinstance(copy, ModelCheckpoint):
        copy.dirpath = str(folder / "further")
    return copy


def _leave_out(trainer: pl.Trainer, *kinds: type[Callback]) -> None:
    """Take out what answers signals, and what looks at numbers: they are those of two photographs."""
    listed: list[Callback] = trainer.callbacks  # type: ignore[attr-defined]
    kept = [callback for callback in listed if not isinstance(callback, kinds)]
    trainer.callbacks = kept  # type: ignore[attr-defined]
