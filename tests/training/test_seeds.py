from pathlib import Path

import lightning.pytorch as pl
import pandas as pd
import pytest
import torch
from lightning.pytorch.callbacks import Callback

from melanoma.training.config import RunConfig
from melanoma.training.fold import train_fold
from melanoma.training.seeds import StepSeeds
from tiny_run import tiny_config

RANDOM = [
    *("--trainer.max_epochs=3", "--model.dropout=0.3", "--model.ema_decay=0.9"),
    *("--model.metadata=true", "--model.metadata_dropout=0.5", "--data.augmentation=medium"),
    *("--data.num_workers=1", "--photographs=0"),
]


class _Crash(Callback):
    """Ends the process's training at a step, as a power cut would."""

    def __init__(self, at_step: int) -> None:
        self.at_step = at_step

    def on_train_batch_end(self, trainer: pl.Trainer, *_: object) -> None:
        if trainer.global_step == self.at_step:
            raise SystemExit


def results(config: RunConfig) -> dict[str, str]:
    folder = config.run_dir / "fold_0"
    return {name: (folder / name).read_text() for name in ("oof.csv", "metrics.csv")}


def undisturbed(competition: Path, folds_csv: Path, *more: str) -> dict[str, str]:
    config = tiny_config(competition, folds_csv, *RANDOM, *more)
    train_fold(config, 0)
    return results(config)


def crashed(
    competition: Path, folds_csv: Path, at_steps: list[int], *more: str
) -> tuple[dict[str, str], RunConfig]:
    base = tiny_config(competition, folds_csv).run_dir
    arguments = [*RANDOM, *more, f"--run_dir={base}_crashed"]
    for at_step in at_steps:
        config = tiny_config(competition, folds_csv, *arguments)
        config.trainer["callbacks"] = [_Crash(at_step)]
        with pytest.raises(SystemExit):
            train_fold(config, 0)
    config = tiny_config(competition, folds_csv, *arguments)
    train_fold(config, 0)
    return results(config), config


@pytest.mark.parametrize("at_step", [5, 8])  # four steps an epoch
def test_a_training_that_was_cut_off_comes_to_the_same_bytes(
    competition: Path, folds_csv: Path, at_step: int
) -> None:
    found, _ = crashed(competition, folds_csv, [at_step])
    assert found == undisturbed(competition, folds_csv)


def test_checkpoints_within_an_epoch_are_gone_on_from(competition: Path, folds_csv: Path) -> None:
    every = "--checkpoint_every_n_steps=1"
    found, config = crashed(competition, folds_csv, [3, 7, 10], every)
    expected = undisturbed(competition, folds_csv)
    assert found["oof.csv"] == expected["oof.csv"]
    scores = [
        pd.read_csv(config.run_dir / "fold_0" / "metrics.csv")["val_auc"].tolist(),
    ]
    assert len(scores[0]) == 3


def test_an_early_stop_stays_one(competition: Path, folds_csv: Path) -> None:
    early = ["--early_stopping_patience=1", "--trainer.max_epochs=8", "--model.learning_rate=1e-7"]
    config = tiny_config(competition, folds_csv, *RANDOM, *early)
    train_fold(config, 0)
    before = results(config)
    (config.run_dir / "fold_0" / "done.json").unlink()
    train_fold(config, 0)
    assert results(config) == before
    assert len(before["metrics.csv"].splitlines()) < 8


def test_steps_differ_from_each_other_and_nothing_else_matters() -> None:
    class Place:
        current_epoch, global_rank = 0, 0

    def drawn(seed: int, epoch: int, step: int, rank: int = 0) -> float:
        place, module = Place(), pl.LightningModule()
        place.current_epoch, place.global_rank = epoch, rank
        StepSeeds(seed).on_train_batch_start(place, module, None, step)  # type: ignore[arg-type]
        return float(torch.rand(()))

    draws = [drawn(0, 0, 0), drawn(1, 0, 0), drawn(0, 1, 0), drawn(0, 0, 1), drawn(0, 0, 0, 1)]
    assert len(set(draws)) == 5
    assert drawn(0, 1, 0) == draws[2]
