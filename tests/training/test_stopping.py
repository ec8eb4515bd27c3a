import math
import time
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import lightning.pytorch as pl
import numpy as np
import pandas as pd
import pytest
import torch

from melanoma.errors import RunError
from melanoma.models.module import MelanomaModule
from melanoma.run_folder import RunFolder
from melanoma.training.callbacks import EpochTable
from melanoma.training.config import RunConfig
from melanoma.training.fold import train_fold
from melanoma.training.stopping import TrainingStopped
from tiny_run import tiny_config


def test_a_training_out_of_time_goes_on_to_the_same_end(
    competition: Path, folds_csv: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    whole = tiny_config(competition, folds_csv, "--model.dropout=0.2")
    train_fold(whole, 0)
    arguments = ["--model.dropout=0.2", f"--run_dir={whole.run_dir}_stopped"]
    late = tiny_config(competition, folds_csv, *arguments, f"--deadline={time.monotonic()}")
    for _ in range(3):  # each gets one step further
        with pytest.raises(TrainingStopped):
            train_fold(late, 0)
    assert "fold 0 stops in epoch 1: the time is up; the same command goes on" in (
        capsys.readouterr().out
    )
    assert not (late.run_dir / "fold_0" / "oof.csv").exists()
    train_fold(tiny_config(competition, folds_csv, *arguments), 0)
    written = [(run / "fold_0" / "oof.csv").read_bytes() for run in (whole.run_dir, late.run_dir)]
    assert written[0] == written[1]


def broken_from(step: int, monkeypatch: pytest.MonkeyPatch) -> None:
    original = MelanomaModule.training_step

    def training_step(self: MelanomaModule, batch: Any, batch_idx: int) -> torch.Tensor:
        loss = original(self, batch, batch_idx)
        is_bad = self.current_epoch == 1 and batch_idx >= step
        return loss * float("nan") if is_bad else loss

    monkeypatch.setattr(MelanomaModule, "training_step", training_step)


def images_of_step(config: RunConfig, epoch: int, step: int) -> list[str]:
    data = config.data_module(0)
    data.setup()
    loader = data.train_dataloader()
    loader.sampler.set_epoch(epoch)  # type: ignore[attr-defined]
    rows = [int(row) for row in list(loader)[step]["index"]]
    return data.table("train")["image_name"][rows].tolist()


@pytest.mark.parametrize("step", [0, 2])
def test_a_loss_that_is_no_number_names_step_images_and_checkpoint(
    competition: Path, folds_csv: Path, monkeypatch: pytest.MonkeyPatch, step: int
) -> None:
    config = tiny_config(competition, folds_csv)
    broken_from(step, monkeypatch)
    with pytest.raises(RunError, match=f"from step {step + 1} of epoch 2 on") as caught:
        train_fold(config, 0)
    message = str(caught.value)
    assert ", ".join(images_of_step(config, 1, step)) in message
    last = config.run_dir / "fold_0" / "last.ckpt"
    assert f"last good checkpoint is {last}" in message
    weights = torch.load(last, weights_only=True)["state_dict"]
    assert all(torch.isfinite(tensor.float()).all() for tensor in weights.values())


def test_memory_that_is_not_enough_says_what_to_change(
    competition: Path, folds_csv: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def training_step(self: MelanomaModule, batch: Any, batch_idx: int) -> torch.Tensor:
        raise torch.OutOfMemoryError("CUDA out of memory.")

    monkeypatch.setattr(MelanomaModule, "training_step", training_step)
    config = tiny_config(competition, folds_csv)
    message = r"a batch of 4 .*--data\.batch_size 2 --trainer\.accumulate_grad_batches 2"
    with pytest.raises(RunError, match=message):
        train_fold(config, 0)


class Validations(pl.Callback):
    """Notes the AUC of every validation, by epoch."""

    def __init__(self) -> None:
        self.aucs: list[tuple[int, float]] = []

    def on_validation_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        if not trainer.sanity_checking:
            auc = float(trainer.callback_metrics["val_auc"])
            self.aucs.append((trainer.current_epoch, auc))


@pytest.mark.parametrize("interval", ["1", "1.0", "2", "0.5", "3"])
def test_the_best_checkpoint_is_the_best_of_all_validations(
    competition: Path, folds_csv: Path, monkeypatch: pytest.MonkeyPatch, interval: str
) -> None:
    # Scores that rise and fall, the best of them within an epoch.
    scores = iter([0.5, *np.random.default_rng(0).permutation(np.linspace(0.3, 0.9, 32))])
    monkeypatch.setattr("melanoma.models.module.auc", lambda *_: float(next(scores)))
    options = (f"--trainer.val_check_interval={interval}", "--trainer.max_epochs=4")
    config = tiny_config(competition, folds_csv, *options, "--trainer.num_sanity_val_steps=0")
    seen = Validations()
    config.trainer["callbacks"] = [seen]
    result = train_fold(config, 0)
    assert result is not None
    epoch, best = max(seen.aucs, key=lambda one: one[1])
    folder = RunFolder(config.run_dir).fold(0)
    assert result.best_epoch == epoch + 1
    metrics = pd.read_csv(folder.metrics_csv)
    assert metrics["val_auc"].max() == round(best, 6)
    assert int(metrics["val_auc"].argmax()) == epoch
    content = torch.load(folder.last_checkpoint, weights_only=True)
    kept = [float(s["best_model_score"]) for k, s in content["callbacks"].items() if "val_auc" in k]
    assert kept == [pytest.approx(best)]


def test_the_score_of_the_best_checkpoint_is_the_highest_in_the_table(
    competition: Path, folds_csv: Path
) -> None:
    options = ("--trainer.val_check_interval=1", "--trainer.max_epochs=4")
    config = tiny_config(competition, folds_csv, *options, "--model.learning_rate=0.1")
    result = train_fold(config, 0)
    assert result is not None
    folder = RunFolder(config.run_dir).fold(0)
    metrics = pd.read_csv(folder.metrics_csv)
    assert metrics["val_auc"].max() == round(result.auc, 6)
    best = torch.load(folder.best_checkpoint, weights_only=True)
    assert result.best_epoch == best["epoch"] + 1 == int(metrics["val_auc"].argmax()) + 1


@pytest.mark.parametrize(
    ("aucs", "waited"),
    [
        ([], 0),
        ([0.5], 0),
        ([0.5, 0.5], 1),  # no better
        ([0.5, 0.6, 0.55, 0.4], 2),
        ([0.5, 0.6, 0.55, 0.7], 0),
        ([None, 0.6, None, 0.5, None], 2),  # every second epoch is validated
        ([math.nan, 0.4], 0),
    ],
)
def test_patience_counts_epochs(aucs: list[float | None], waited: int) -> None:
    table = EpochTable(Path("metrics.csv"), "fold 0")
    scores = [{} if auc is None else {"val_auc": auc} for auc in aucs]
    table.rows = [{"epoch": float(n), **score} for n, score in enumerate(scores)]
    assert table.epochs_since_best == waited


def test_several_validations_of_an_epoch_do_not_use_patience_up(
    competition: Path, folds_csv: Path
) -> None:
    options = ("--trainer.val_check_interval=1", "--trainer.max_epochs=3")
    config = tiny_config(
        competition, folds_csv, *options, "--early_stopping_patience=3", "--model.learning_rate=0.1"
    )
    train_fold(config, 0)
    assert len(pd.read_csv(RunFolder(config.run_dir).fold(0).metrics_csv)) == 3


def first_rates(config: RunConfig) -> list[float]:
    train_fold(config, 0)
    metrics = pd.read_csv(RunFolder(config.run_dir).fold(0).metrics_csv)
    assert metrics["val_auc"].notna().all()
    return metrics["learning_rate"].round(9).tolist()


@pytest.mark.parametrize("schedule", ["cosine", "onecycle", "step", "plateau", "constant"])
def test_steps_and_epochs_are_two_names_of_one_length(
    competition: Path, folds_csv: Path, schedule: str
) -> None:
    def rates(name: str, *length: str) -> list[float]:
        run_dir = f"--run_dir={folds_csv.parents[1] / 'runs' / name}"
        model = (f"--model.schedule={schedule}", "--model.warmup_epochs=1", run_dir)
        config = tiny_config(competition, folds_csv, *model, *length)
        return first_rates(config)

    epochs = rates("epochs", "--trainer.max_epochs=3")  # of four steps
    for most in ("null", "-1", "100") if schedule == "cosine" else ("null",):
        steps = rates(f"steps {most}", "--trainer.max_steps=12", f"--trainer.max_epochs={most}")
        assert steps == epochs
    if schedule != "cosine":
        return
    # What is left after the last whole epoch is validated, too: see `first_rates`.
    assert len(rates("part", "--trainer.max_steps=10", "--trainer.max_epochs=null")) == 3
    assert len(rates("less than one", "--trainer.max_steps=2", "--trainer.max_epochs=null")) == 1


@pytest.mark.parametrize(
    ("aucs", "kept"),
    [([0.5, 0.7, 0.6], 0.7), ([math.nan, 0.4], 0.4), ([0.4, math.nan], 0.4), ([math.nan], None)],
)
def test_the_best_validation_of_an_epoch_is_kept(aucs: list[float], kept: float | None) -> None:
    table = EpochTable(Path("metrics.csv"), "fold 0")
    for auc in aucs:
        metrics = {"val_auc": torch.tensor(auc, dtype=torch.float64)}
        table.on_validation_end(
            SimpleNamespace(sanity_checking=False, callback_metrics=metrics),  # type: ignore[arg-type]
            None,  # type: ignore[arg-type]
        )
    found = table.state_dict()["scores"]["val_auc"]
    assert math.isnan(found) if kept is None else found == kept
