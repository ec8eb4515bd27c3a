from dataclasses import replace
from pathlib import Path
from typing import Any

import lightning.pytorch as pl
import numpy as np
import pandas as pd
import pytest
import torch
from lightning.pytorch.callbacks import (
    Callback,
    DeviceStatsMonitor,
    EarlyStopping,
    LearningRateMonitor,
    ModelCheckpoint,
)

from melanoma.errors import ConfigError
from melanoma.images.datamodule import Stage
from melanoma.training.config import RunConfig
from melanoma.training.inputs import check_inputs
from melanoma.training.rehearsal import rehearse
from tiny_run import tiny_config


def with_callbacks(config: RunConfig, *callbacks: Callback) -> RunConfig:
    return replace(config, trainer={**config.trainer, "callbacks": list(callbacks)})


@pytest.mark.parametrize(
    ("callback", "message"),
    [
        (
            EarlyStopping("val_accuracy"),
            r"ended with RuntimeError: .*val_accuracy.*Leave out the op",
        ),
        (ModelCheckpoint(monitor="val_f1"), r"ended with MisconfigurationException: .*val_f1"),
    ],
)
def test_what_only_shows_while_training_is_found_before(
    competition: Path, folds_csv: Path, callback: Callback, message: str
) -> None:
    config = with_callbacks(tiny_config(competition, folds_csv), callback)
    with pytest.raises(ConfigError, match=message):
        check_inputs(config, [0])
    assert not config.run_dir.exists()


def test_a_fold_that_was_begun_has_no_rehearsal_any_more(
    competition: Path, folds_csv: Path
) -> None:
    config = with_callbacks(tiny_config(competition, folds_csv), EarlyStopping("val_accuracy"))
    folder = config.run_dir / "fold_0"
    folder.mkdir(parents=True)
    (folder / "last.ckpt").touch()
    check_inputs(config, [0, 1])


def test_nothing_of_a_rehearsal_is_left(
    competition: Path, folds_csv: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    """Neither files, nor draws from the random generators, nor lines."""
    calls = []

    class Own(Callback):
        def on_fit_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
            calls.append("fit")

    own = tmp_path / "own"
    config = with_callbacks(
        tiny_config(competition, folds_csv, "--top_k=2", "--checkpoint_every_n_steps=1"),
        ModelCheckpoint(own, monitor="val_auc", mode="max"),
        LearningRateMonitor(),
        DeviceStatsMonitor(),
        Own(),
    )
    before = sorted(tmp_path.rglob("*"))
    draws = []
    for has_rehearsal in (False, True):
        torch.manual_seed(1)
        np.random.seed(1)
        data = config.data_module(0)
        data.setup()
        module = config.module(data)
        if has_rehearsal:
            rehearse(config, data, module)
        draws.append((torch.rand(3).tolist(), np.random.random(3).tolist()))
    assert draws[0] == draws[1]
    assert sorted(tmp_path.rglob("*")) == before
    assert not calls
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize(
    "options",
    [
        ["--model.schedule=onecycle"],
        ["--model.schedule=onecycle", "--trainer.limit_train_batches=1"],
        ["--data.batch_size=1", "--data.image_size=64", "--trainer.accumulate_grad_batches=30"],
        ["--model.target=diagnosis", "--model.metadata=true", "--data.sampling=balanced"],
        ["--model.ema_decay=0.9", "--model.freeze_epochs=1", "--model.views=8"],
        ["--model.schedule=plateau", "--trainer.check_val_every_n_epoch=2"],
        ["--trainer.max_epochs=null", "--trainer.max_steps=9", "--model.warmup_epochs=1"],
        ["--trainer.accumulate_grad_batches=3", "--trainer.gradient_clip_val=1"],
        ["--trainer.val_check_interval=2", "--trainer.min_epochs=2", "--model.mixup_alpha=1"],
        ["--trainer.devices=2", "--trainer.strategy=ddp", "--trainer.sync_batchnorm=true"],
        ["--model.torch_compile=true", "--model.fused_optimizer=true", "--trainer.profiler=simple"],
    ],
)
def test_what_trains_rehearses(
    competition: Path, folds_csv: Path, options: list[str], recwarn: Any
) -> None:
    config = tiny_config(competition, folds_csv, *options)
    data = config.data_module(0)
    data.setup()
    rehearse(config, data, config.module(data))
    assert not recwarn.list


def test_an_excerpt_has_a_photograph_of_each_class(competition: Path, folds_csv: Path) -> None:
    data = tiny_config(competition, folds_csv).data_module(1)
    data.setup()
    few = data.excerpt(n_batches=5)
    stages: tuple[Stage, ...] = ("train", "val")
    for stage in stages:
        rows: pd.DataFrame = few.table(stage)
        assert sorted(set(rows["target"])) == [0, 1]
        assert rows["image_name"].isin(data.table(stage)["image_name"]).all()
        assert rows["image_name"].nunique() == 2
    assert len(few.train_dataloader()) == 5
    assert len(few.val_dataloader()) == 1
    assert len(data.table("train")) > 2
    assert not few.has_test_set
