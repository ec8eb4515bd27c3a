import json
from pathlib import Path

import lightning.pytorch as pl
import pandas as pd
import pytest
import torch

from melanoma.errors import ConfigError, RunError
from melanoma.files import sha256_of
from melanoma.metrics import auc
from melanoma.models.module import MelanomaModule
from melanoma.run_folder import RunFolder
from melanoma.tables import OOF_COLUMNS, PREDICTION_COLUMNS
from melanoma.training.fold import create_trainer, train_fold
from tiny_run import tiny_config


def test_a_fold_leaves_what_the_contract_names(competition: Path, folds_csv: Path) -> None:
    config = tiny_config(competition, folds_csv)
    result = train_fold(config, 1)
    folder = RunFolder(config.run_dir).fold(1)
    oof, test = pd.read_csv(folder.oof_csv), pd.read_csv(folder.test_csv)
    folds = pd.read_csv(folds_csv)
    assert list(oof.columns) == OOF_COLUMNS
    assert oof["image_name"].tolist() == folds.loc[folds["fold"] == 1, "image_name"].tolist()
    assert list(test.columns) == PREDICTION_COLUMNS
    assert (
        test["image_name"].tolist() == pd.read_csv(competition / "test.csv")["image_name"].tolist()
    )
    metrics = pd.read_csv(folder.metrics_csv)
    assert metrics["epoch"].tolist() == [0, 1]
    assert metrics.notna().all(axis=None)
    done = json.loads(folder.done_json.read_text())
    assert result is not None
    assert done["auc"] == result.auc == auc(oof["target"], oof["prediction"])
    assert done["files"]["oof.csv"] == sha256_of(folder.oof_csv)
    assert done["train_sha256"] == sha256_of(competition / "train.csv")
    assert list(folder.path.glob("tensorboard/events*"))


def test_predictions_come_from_the_best_epoch(competition: Path, folds_csv: Path) -> None:
    config = tiny_config(competition, folds_csv, "--trainer.max_epochs=4")
    result = train_fold(config, 0)
    folder = RunFolder(config.run_dir).fold(0)
    metrics = pd.read_csv(folder.metrics_csv)
    assert result is not None
    assert result.auc == pytest.approx(metrics["val_auc"].max(), abs=1e-6)
    best = MelanomaModule.load_from_checkpoint(folder.best_checkpoint, weights_only=True).eval()
    data = config.data_module(0)
    data.setup()
    with torch.no_grad():
        predicted = torch.cat([torch.sigmoid(best(b["image"])) for b in data.val_dataloader()])
    written = pd.read_csv(folder.oof_csv)["prediction"]
    assert written.tolist() == pytest.approx(predicted.tolist(), abs=1e-6)


def test_a_cut_off_fold_goes_on_where_it_was(competition: Path, folds_csv: Path) -> None:
    class PullThePlug(pl.Callback):
        def on_train_epoch_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
            if trainer.current_epoch == 2:
                raise RuntimeError("plug pulled")

    config = tiny_config(competition, folds_csv, "--trainer.max_epochs=4")
    config.trainer["callbacks"] = [PullThePlug()]
    with pytest.raises(RuntimeError, match="plug pulled"):
        train_fold(config, 0)
    folder = RunFolder(config.run_dir).fold(0)
    assert not folder.is_done
    before = pd.read_csv(folder.metrics_csv)
    config.trainer["callbacks"] = None
    train_fold(config, 0)
    after = pd.read_csv(folder.metrics_csv)
    assert after["epoch"].tolist() == [0, 1, 2, 3]
    assert after.iloc[:2].equals(before)


def test_without_resuming_a_fold_starts_again(competition: Path, folds_csv: Path) -> None:
    config = tiny_config(competition, folds_csv, "--resume=false")
    metrics_csv = RunFolder(config.run_dir).fold(0).metrics_csv
    train_fold(config, 0)
    first = pd.read_csv(metrics_csv)
    train_fold(config, 0)
    assert pd.read_csv(metrics_csv).equals(first)


def test_early_stopping_stops(competition: Path, folds_csv: Path) -> None:
    config = tiny_config(
        competition,
        folds_csv,
        *("--trainer.max_epochs=50", "--early_stopping_patience=1", "--model.learning_rate=1e-9"),
    )
    train_fold(config, 0)
    assert len(pd.read_csv(RunFolder(config.run_dir).fold(0).metrics_csv)) < 50


def test_a_trial_run_leaves_nothing(competition: Path, folds_csv: Path) -> None:
    config = tiny_config(competition, folds_csv, "--trainer.fast_dev_run=true")
    assert train_fold(config, 0) is None
    assert not RunFolder(config.run_dir).fold(0).is_done


def test_trainer_options_pass_through(competition: Path, folds_csv: Path) -> None:
    config = tiny_config(
        competition,
        folds_csv,
        *("--trainer.accumulate_grad_batches=3", "--trainer.precision=bf16-mixed"),
        '--trainer.callbacks+={"class_path": "lightning.pytorch.callbacks.LearningRateMonitor"}',
    )
    data = config.data_module(0)
    data.setup()
    trainer = create_trainer(config, 0, data)
    assert trainer.accumulate_grad_batches == 3
    assert trainer.precision == "bf16-mixed"
    assert any(isinstance(c, pl.callbacks.LearningRateMonitor) for c in trainer.callbacks)  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    ("option", "error", "message"),
    [
        ("--trainer.limit_predict_batches=1", RunError, r"oof.csv: no prediction for TRAIN_"),
        ("--trainer.max_epochs=0", ConfigError, "no epoch had a validation AUC"),
    ],
)
def test_a_fold_without_all_its_predictions_is_not_done(
    competition: Path, folds_csv: Path, option: str, error: type[Exception], message: str
) -> None:
    config = tiny_config(competition, folds_csv, "--trainer.max_epochs=1", option)
    with pytest.raises(error, match=message):
        train_fold(config, 0)
    assert not RunFolder(config.run_dir).fold(0).is_done
