"""Finding a learning rate: a short trial of rising rates, Lightning's own."""

from dataclasses import dataclass
from pathlib import Path

import lightning.pytorch as pl
from lightning.pytorch.tuner.tuning import Tuner

from melanoma.errors import RunError
from melanoma.files import write_atomically
from melanoma.training.config import RunConfig
from melanoma.training.noise import silence_known_noise

_STEPS = 100
_LOWEST, _HIGHEST = 1e-6, 0.3


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
    silence_known_noise()
    pl.seed_everything(config.seed, workers=True, verbose=False)
    data = config.data_module(fold)
    data.prepare_data()
    data.setup()
    module = config.module(data)
    module.load_pretrained_weights()
    # Epochs enough for the steps: the trial ends with them.
    asked = {"max_epochs": n_steps + 1, "callbacks": None, "logger": False}
    quiet = {"enable_checkpointing": False, "enable_model_summary": False}
    config.run_dir.mkdir(parents=True, exist_ok=True)
    trainer = pl.Trainer(
        **{**config.trainer, **asked, **quiet, "default_root_dir": str(config.run_dir)}
    )
    finder = Tuner(trainer).lr_find(
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
