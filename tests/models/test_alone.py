"""Module and data module in a plain Trainer, without the launcher: what their signatures say."""

from pathlib import Path
from typing import Any

import lightning.pytorch as pl
import pytest
import torch
from torch import nn
from torch.utils.data import DataLoader

from melanoma.images.datamodule import MelanomaDataModule
from melanoma.images.dataset import Draw
from melanoma.models.averaging import DeviceAveraging
from melanoma.models.module import MelanomaModule
from melanoma.training.fold import train_fold
from melanoma.training.noise import silence_known_noise
from tiny_run import tiny_config

QUIET: dict[str, Any] = {
    "accelerator": "cpu",
    "logger": False,
    "enable_checkpointing": False,
    "enable_progress_bar": False,
    "enable_model_summary": False,
}


@pytest.fixture(autouse=True)
def _no_noise() -> None:
    silence_known_noise()


class FirstLoss(pl.Callback):
    """The loss of the first step, and how it was made."""

    loss = float("nan")
    fused: object = None

    def on_train_batch_end(self, trainer: pl.Trainer, *step: Any) -> None:
        if trainer.global_step == 1:
            self.loss = step[1]["loss"].item()
            self.fused = trainer.optimizers[0].param_groups[0].get("fused")


@pytest.fixture
def data(competition: Path, folds_csv: Path) -> MelanomaDataModule:
    return MelanomaDataModule(
        str(competition), str(folds_csv), image_size=16, batch_size=4, num_workers=0, fold=1
    )


@pytest.fixture
def weights(tmp_path: Path) -> Path:
    """Of the tiny network; every tensor of them is one half."""
    state = MelanomaModule("test_resnet", "none").network.backbone.network.state_dict()
    path = tmp_path / "weights.pt"
    torch.save({name: torch.full_like(tensor, 0.5) for name, tensor in state.items()}, path)
    return path


def first_layer(module: MelanomaModule) -> torch.Tensor:
    return next(module.network.backbone.network.parameters()).detach().clone()


@pytest.mark.parametrize("ema_decay", [None, 0.5])
def test_ten_lines_and_the_script_give_the_same_first_loss(
    competition: Path, folds_csv: Path, weights: Path, ema_decay: float | None
) -> None:
    script = FirstLoss()
    options = [f"--model.weights={weights}"]
    options += [] if ema_decay is None else [f"--model.ema_decay={ema_decay}"]
    config = tiny_config(competition, folds_csv, *options, "--trainer.max_epochs=1")
    config.trainer["callbacks"] = [script]
    train_fold(config, 1)

    pl.seed_everything(42 + 1, workers=True, verbose=False)
    data = MelanomaDataModule(
        str(competition), str(folds_csv), image_size=16, batch_size=4, num_workers=0, fold=1
    )
    module = MelanomaModule(
        "test_resnet", str(weights), learning_rate=3e-3, ema_decay=ema_decay, seed=42
    )
    ours = FirstLoss()
    trainer = pl.Trainer(**QUIET, max_epochs=1, precision="32-true", callbacks=[ours])
    trainer.fit(module, datamodule=data)
    assert ours.loss == script.loss
    assert ours.fused is script.fused is True


class Untouched(pl.Callback):
    """What the first layer is when training begins."""

    layer: torch.Tensor

    def on_train_start(self, trainer: pl.Trainer, pl_module: Any) -> None:
        self.layer = first_layer(pl_module)


def begun(module: MelanomaModule, data: MelanomaDataModule, **fitting: Any) -> torch.Tensor:
    seen = Untouched()
    trainer = pl.Trainer(**QUIET, max_steps=1, num_sanity_val_steps=0, callbacks=[seen])
    trainer.fit(module, datamodule=data, **fitting)
    return seen.layer


def test_weights_are_those_asked_for(data: MelanomaDataModule, weights: Path) -> None:
    assert (begun(MelanomaModule("test_resnet", str(weights)), data) == 0.5).all()


def test_but_not_where_others_have_been_loaded(
    data: MelanomaDataModule, weights: Path, tmp_path: Path
) -> None:
    module = MelanomaModule("test_resnet", str(weights))
    trainer = pl.Trainer(**QUIET, max_steps=2)
    trainer.fit(module, datamodule=data)
    trained = first_layer(module)
    assert not (trained == 0.5).all()
    trainer.save_checkpoint(tmp_path / "last.ckpt")
    assert torch.equal(begun(module, data), trained)  # fitted again
    weights.unlink()  # and is not even read
    loaded = MelanomaModule.load_from_checkpoint(tmp_path / "last.ckpt", weights_only=True)
    assert torch.equal(begun(loaded, data), trained)
    filled = MelanomaModule("test_resnet", str(weights))
    filled.load_state_dict({n: torch.full_like(t, 0.25) for n, t in loaded.state_dict().items()})
    assert (begun(filled, data) == 0.25).all()
    resumed = MelanomaModule("test_resnet", str(weights))
    trainer = pl.Trainer(**QUIET, max_steps=3)
    trainer.fit(resumed, datamodule=data, ckpt_path=tmp_path / "last.ckpt", weights_only=True)
    assert trainer.global_step == 3


def test_averaging_compiling_and_fusing_are_done(
    data: MelanomaDataModule, monkeypatch: pytest.MonkeyPatch
) -> None:
    compiled: list[nn.Module] = []
    monkeypatch.setattr(nn.Module, "compile", lambda network, **_: compiled.append(network))
    module = MelanomaModule(
        "test_resnet", "none", ema_decay=0.9, torch_compile=True, fused_optimizer=False
    )
    first = FirstLoss()
    trainer = pl.Trainer(**QUIET, max_epochs=1, callbacks=[first])
    trainer.fit(module, datamodule=data)
    assert compiled == [module.network]
    assert not first.fused
    averaging = [c for c in trainer.callbacks if isinstance(c, DeviceAveraging)]  # type: ignore[attr-defined]
    assert [callback.decay for callback in averaging] == [0.9]


def test_rows_and_plain_loaders(data: MelanomaDataModule) -> None:
    data.setup()
    for stage in ("train", "val", "test"):
        photographs = data.dataset(stage)
        last = len(photographs) - 1
        assert torch.equal(photographs[0]["image"], photographs[Draw(0, 0)]["image"])
        assert photographs[-1]["index"] == last
        rows = [int(photographs[row]["index"]) for row in range(last + 1)]
        assert rows == list(range(last + 1))
        with pytest.raises(IndexError, match=f"row {last + 1}: there are {last + 1} photographs"):
            photographs[last + 1]
    loader = DataLoader(data.dataset("val"), batch_size=4)
    ours = list(data.val_dataloader())
    for batch, expected in zip(loader, ours, strict=True):
        assert batch.keys() == expected.keys()
        assert all(torch.equal(batch[key], expected[key]) for key in batch)


def test_plain_loaders_train(data: MelanomaDataModule) -> None:
    data.setup()
    module = MelanomaModule("test_resnet", "none")
    training = DataLoader(data.dataset("train"), batch_size=4, shuffle=True, drop_last=True)
    validation = DataLoader(data.dataset("val"), batch_size=4)
    trainer = pl.Trainer(**QUIET, max_epochs=1)
    trainer.fit(module, training, validation)
    assert 0 <= trainer.callback_metrics["val_auc"] <= 1
