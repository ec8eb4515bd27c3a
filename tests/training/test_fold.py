import json
from pathlib import Path

import lightning.pytorch as pl
import numpy as np
import pandas as pd
import pytest
import torch
from lightning.pytorch.callbacks import ModelCheckpoint
from PIL import Image

from melanoma.epoch_predictions import read_epoch_predictions
from melanoma.errors import ConfigError, MelanomaError, RunError
from melanoma.files import sha256_of
from melanoma.folds.creation import create_folds
from melanoma.metrics import auc
from melanoma.models.module import MelanomaModule
from melanoma.run_folder import RunFolder
from melanoma.tables import OOF_COLUMNS
from melanoma.training import trials
from melanoma.training.config import parse_config
from melanoma.training.fold import train_fold
from melanoma.training.trainer import create_trainer
from melanoma.training.trials import find_batch_size, find_learning_rate
from tiny_run import tiny_config

CONFIGS = sorted((Path(__file__).resolve().parents[2] / "configs").glob("*.yaml"))


def test_a_fold_leaves_what_the_contract_names(competition: Path, folds_csv: Path) -> None:
    config = tiny_config(competition, folds_csv, "--photographs=16", "--logger=csv,tensorboard")
    result = train_fold(config, 1)
    folder = RunFolder(config.run_dir).fold(1)
    oof = pd.read_csv(folder.oof_csv)
    folds = pd.read_csv(folds_csv)
    assert list(oof.columns) == OOF_COLUMNS
    assert oof["image_name"].tolist() == folds.loc[folds["fold"] == 1, "image_name"].tolist()
    metrics = pd.read_csv(folder.metrics_csv)
    assert metrics["epoch"].tolist() == [0, 1]
    assert metrics.notna().all(axis=None)
    done = json.loads(folder.done_json.read_text())
    assert result is not None
    assert done["auc"] == result.auc == auc(oof["target"], oof["prediction"])
    assert done["files"]["oof.csv"] == sha256_of(folder.oof_csv)
    assert done["train_sha256"] == sha256_of(competition / "train.csv")
    assert list(folder.path.glob("tensorboard/events*"))


@pytest.mark.parametrize("predict_from", ["last", "best"])
def test_predictions_come_from_the_epoch_that_is_asked_for(
    competition: Path, folds_csv: Path, predict_from: str
) -> None:
    # A rate so high that the last epoch is not the best.
    options = ("--trainer.max_epochs=4", "--model.learning_rate=0.05")
    config = tiny_config(competition, folds_csv, *options, f"--predict_from={predict_from}")
    result = train_fold(config, 0)
    folder = RunFolder(config.run_dir).fold(0)
    by_epoch = pd.read_csv(folder.metrics_csv)["val_auc"].to_numpy()
    assert result is not None
    assert by_epoch.argmax() != 3
    assert result.best_epoch == by_epoch.argmax() + 1
    assert result.epoch == (4 if predict_from == "last" else result.best_epoch)
    assert result.auc == pytest.approx(by_epoch[result.epoch - 1], abs=1e-6)
    path = folder.predicting_checkpoint
    assert path.name == f"{predict_from}.ckpt"
    network = MelanomaModule.load_from_checkpoint(path, weights_only=True).eval()
    data = config.data_module(0)
    data.setup()
    with torch.no_grad():
        predicted = torch.cat([torch.sigmoid(network(b["image"])) for b in data.val_dataloader()])
    written = pd.read_csv(folder.oof_csv)["prediction"]
    assert written.tolist() == pytest.approx(predicted.tolist(), abs=1e-6)


def test_every_epochs_predictions_are_kept(competition: Path, folds_csv: Path) -> None:
    # Four batches an epoch, so that the second validation of an epoch is at its end.
    options = ("--trainer.max_epochs=3", "--trainer.val_check_interval=0.5", "--data.batch_size=5")
    config = tiny_config(competition, folds_csv, *options)
    train_fold(config, 1)
    folder = RunFolder(config.run_dir).fold(1)
    kept = read_epoch_predictions(folder.epochs_npz)
    oof = pd.read_csv(folder.oof_csv)
    assert kept.epoch.tolist() == [0, 0, 1, 1, 2, 2]
    assert (np.diff(kept.step) > 0).all()
    assert kept.prediction.shape == (6, len(oof))
    aucs = [auc(oof["target"], row) for row in kept.prediction]
    best = np.reshape(aucs, (3, 2)).max(axis=1)
    assert pd.read_csv(folder.metrics_csv)["val_auc"].tolist() == pytest.approx(best, abs=1e-6)
    assert oof["prediction"].tolist() == pytest.approx(kept.prediction[-1].tolist(), abs=1e-6)
    assert folder.read_done()["files"]["epochs.npz"] == sha256_of(folder.epochs_npz)


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


def test_what_a_fold_goes_on_from_is_written_after_the_checkpoints_that_it_knows(
    competition: Path, folds_csv: Path
) -> None:
    config = tiny_config(competition, folds_csv, "--top_k=2", "--checkpoint_every_n_steps=1")
    data = config.data_module(0)
    data.setup()
    trainer = create_trainer(config, 0, data)
    names = [getattr(callback, "filename", None) for callback in trainer.checkpoint_callbacks]
    assert names[0] == "best"
    assert names[-2:] == ["last", "last"]
    assert len(names) == 4


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


def test_a_log_that_cannot_be_written_is_one_message(competition: Path, folds_csv: Path) -> None:
    config = tiny_config(competition, folds_csv, "--trainer.max_epochs=1", "--logger=tensorboard")
    folder = RunFolder(config.run_dir).fold(0)
    folder.path.mkdir(parents=True)
    (folder.path / "tensorboard").write_text("in the way")
    with pytest.raises(MelanomaError, match=r"tensorboard cannot be written: .* Remove it from"):
        train_fold(config, 0)


def test_averaged_weights_are_what_is_judged_kept_and_predicted_with(
    competition: Path, folds_csv: Path
) -> None:
    options = ("--model.ema_decay=0.9", "--trainer.max_epochs=4", "--model.views=4")
    config = tiny_config(competition, folds_csv, *options)
    train_fold(config, 0)
    folder = RunFolder(config.run_dir).fold(0)
    last = MelanomaModule.load_from_checkpoint(folder.last_checkpoint, weights_only=True).eval()
    data = config.data_module(0)
    data.setup()
    with torch.no_grad():
        plain = torch.cat([last(b["image"]) for b in data.val_dataloader()])
        viewed = torch.cat([last.predict_step(b, 0)["prediction"] for b in data.val_dataloader()])
    oof = pd.read_csv(folder.oof_csv)
    in_training = pd.read_csv(folder.metrics_csv)["val_auc"].iloc[-1]
    assert auc(oof["target"], plain.double()) == pytest.approx(in_training, abs=1e-6)
    assert oof["prediction"].tolist() == pytest.approx(viewed.tolist(), abs=1e-6)
    raw = torch.load(folder.last_checkpoint, weights_only=True)
    name = "network.head.1.weight"
    assert not torch.equal(raw["state_dict"][name], raw["current_model_state"][name])


def test_metadata_and_diagnoses_train_from_their_own_folds_statistics(
    competition: Path, folds_csv: Path
) -> None:
    options = ("--model.metadata=true", "--model.target=diagnosis", "--trainer.max_epochs=1")
    config = tiny_config(competition, folds_csv, *options)
    data = config.data_module(0)
    data.prepare_data()
    data.setup()
    training = data.table("train")
    assert data.metadata_statistics is not None
    assert data.metadata_statistics.age_mean == pytest.approx(training["age_approx"].mean())
    whole = pd.read_csv(competition / "train.csv")
    assert data.metadata_statistics.age_mean != pytest.approx(whole["age_approx"].mean())
    batch = next(iter(data.val_dataloader()))
    assert batch["metadata"].shape == (4, data.metadata_statistics.n_features)
    assert set(batch["diagnosis"].tolist()) <= {0, 1}
    train_fold(config, 0)
    folder = RunFolder(config.run_dir).fold(0)
    loaded = MelanomaModule.load_from_checkpoint(folder.best_checkpoint, weights_only=True)
    assert loaded.hparams["metadata_statistics"] == vars(data.metadata_statistics)


def test_unknown_diagnoses_may_be_left_out_of_training_alone(
    competition: Path, folds_csv: Path
) -> None:
    table = pd.read_csv(competition / "train.csv")
    table.loc[table.index % 4 == 1, "diagnosis"] = "unknown"
    table.to_csv(competition / "train.csv", index=False)
    create_folds(competition, n_folds=2, output=folds_csv)
    options = ("--model.target=diagnosis", "--data.unknown_diagnosis=left_out")
    data = tiny_config(competition, folds_csv, *options).data_module(0)
    data.setup()
    assert "unknown" not in set(data.table("train")["diagnosis"])
    assert "unknown" in set(data.table("val")["diagnosis"])


def test_a_picture_of_the_same_photographs_each_epoch(competition: Path, folds_csv: Path) -> None:
    config = tiny_config(competition, folds_csv, "--photographs=6", "--top_k=2")
    train_fold(config, 0)
    folder = RunFolder(config.run_dir).fold(0).path
    pictures = sorted((folder / "photographs").glob("*.png"))
    assert [path.name for path in pictures] == ["epoch_000.png", "epoch_001.png"]
    with Image.open(pictures[0]) as picture:
        assert picture.size == (6 * 128, 154)
    assert len(list((folder / "top").glob("*.ckpt"))) == 2


def test_nothing_is_drawn_or_logged_that_is_not_asked_for(
    competition: Path, folds_csv: Path
) -> None:
    config = tiny_config(competition, folds_csv, "--photographs=0", "--logger=csv")
    train_fold(config, 0)
    written = {path.name for path in RunFolder(config.run_dir).fold(0).path.iterdir()}
    # The test set is predicted with all folds at once, when they are trained.
    tables = {"metrics.csv", "epochs.npz", "oof.csv"}
    assert written == {"best.ckpt", "last.ckpt", "done.json", *tables}


def test_balanced_sampling_draws_both_classes_alike(competition: Path, folds_csv: Path) -> None:
    config = tiny_config(competition, folds_csv, "--data.sampling=balanced")
    data = config.data_module(0)
    data.setup()
    loader = data.train_dataloader()
    drawn = []
    for epoch in range(30):
        loader.sampler.set_epoch(epoch)  # type: ignore[attr-defined]
        drawn.append(torch.cat([batch["target"] for batch in loader]))
    share = torch.cat(drawn).mean().item()
    assert 0.42 < share < 0.58
    assert data.table("train")["target"].mean() < 0.3


def test_a_learning_rate_is_suggested_and_nothing_of_the_run_changed(
    competition: Path, folds_csv: Path
) -> None:
    config = tiny_config(competition, folds_csv, "--find_lr")
    found = find_learning_rate(config, 0, n_steps=40)
    assert 1e-6 < found.learning_rate < 0.3
    assert [path.name for path in config.run_dir.iterdir()] == ["learning_rate.png"]


def test_a_batch_size_is_suggested_and_nothing_of_the_run_changed(
    competition: Path, folds_csv: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = tiny_config(competition, folds_csv, "--find_batch_size", "--data.batch_size=2")
    monkeypatch.setattr(trials, "device_of", lambda _: "cuda")
    monkeypatch.setattr(trials, "_MOST_SIZES", 2)
    assert find_batch_size(config, 0) == 4  # two are tried, the first of them 2; both fit
    assert list(config.run_dir.iterdir()) == []


@pytest.mark.parametrize("path", CONFIGS, ids=lambda path: path.stem)
def test_every_committed_config_trains_a_step(
    competition: Path, folds_csv: Path, path: Path
) -> None:
    # What needs a GPU, a TPU or the network is replaced; the recipe itself stays.
    config = parse_config(
        [
            *("--config", str(path), f"--run_dir={folds_csv.parents[1]}/run"),
            *(f"--data.data_dir={competition}", f"--data.folds_csv={folds_csv}"),
            *("--data.image_size=64", "--data.batch_size=4", "--data.num_workers=0"),
            *("--model.weights=none", "--model.views=1", "--trainer.fast_dev_run=1"),
            *("--trainer.accelerator=cpu", "--trainer.devices=1", "--trainer.precision=32-true"),
        ]
    )
    assert train_fold(config, 0) is None


@pytest.mark.parametrize("monitor", ["null", "val_auc", "val_loss"])
def test_the_users_own_checkpoints_are_written_beside_ours(
    competition: Path, folds_csv: Path, tmp_path: Path, monitor: str
) -> None:
    own = f"--trainer.callbacks={ModelCheckpoint.__module__}.ModelCheckpoint"
    options = [f"--trainer.callbacks.dirpath={tmp_path / 'own'}"]
    options += [f"--trainer.callbacks.monitor={monitor}", "--trainer.callbacks.mode=max"]
    config = tiny_config(competition, folds_csv, own, *options)
    train_fold(config, 0)
    folder = RunFolder(config.run_dir).fold(0)
    assert folder.best_checkpoint.is_file()
    assert folder.last_checkpoint.is_file()
    assert len(list((tmp_path / "own").glob("*.ckpt"))) == 1
