from pathlib import Path
from typing import Any

import lightning.pytorch as pl
import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode

from melanoma.errors import ConfigError
from melanoma.models.acceleration import ACCELERATORS, Acceleration, device_of
from melanoma.training.fold import train_fold
from melanoma.training.trainer import create_trainer
from tiny_run import tiny_config


def chosen(competition: Path, folds_csv: Path, *more: str) -> Acceleration:
    config = tiny_config(competition, folds_csv, *more)
    data = config.data_module(0)
    data.setup()
    return config.module(data).acceleration_on(create_trainer(config, 0, data), data)


def test_a_processor_gets_what_helps_there(competition: Path, folds_csv: Path) -> None:
    found = chosen(competition, folds_csv)
    assert found == Acceleration("cpu", channels_last=True, compiled=False, fused=True)
    assert str(found) == "channels last, fused"


def test_each_choice_has_a_switch(competition: Path, folds_csv: Path) -> None:
    switches = ["--model.channels_last=false", "--model.fused_optimizer=false"]
    found = chosen(competition, folds_csv, *switches, "--model.torch_compile=true")
    assert found == Acceleration("cpu", channels_last=False, compiled=True, fused=False)


def test_clipped_gradients_of_mixed_precision_need_a_plain_optimizer(
    competition: Path, folds_csv: Path
) -> None:
    clipped = "--trainer.gradient_clip_val=1"
    assert chosen(competition, folds_csv, clipped).fused
    mixed = (clipped, "--trainer.precision=bf16-mixed")
    assert not chosen(competition, folds_csv, *mixed).fused
    assert not chosen(competition, folds_csv, *mixed, "--model.fused_optimizer=true").fused


def test_compiling_is_chosen_where_it_pays(
    competition: Path, folds_csv: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    efficientnet = "--model.backbone=test_efficientnet"
    long = "--trainer.max_epochs=1000"
    assert chosen(competition, folds_csv, efficientnet, long).compiled
    assert not chosen(competition, folds_csv, efficientnet).compiled
    assert not chosen(competition, folds_csv, long).compiled  # a residual network
    assert not chosen(
        competition, folds_csv, efficientnet, long, "--trainer.precision=bf16-mixed"
    ).compiled
    monkeypatch.setattr("shutil.which", lambda _: None)
    assert not chosen(competition, folds_csv, efficientnet, long).compiled
    with pytest.raises(ConfigError, match=r"--model\.torch_compile true: .* none was found"):
        chosen(competition, folds_csv, "--model.torch_compile=true")


@pytest.mark.parametrize(
    ("accelerator", "available", "device"),
    [
        ("auto", {"cuda"}, "cuda"),
        ("auto", {"tpu"}, "tpu"),
        ("auto", set(), "cpu"),
        ("gpu", {"cuda", "tpu"}, "cuda"),
        ("gpu", {"mps"}, "mps"),
        ("tpu", set(), "tpu"),
        ("cpu", {"cuda"}, "cpu"),
        (None, {"cuda"}, "cuda"),
    ],
)
def test_the_device_is_what_lightning_would_take(
    accelerator: str, available: set[str], device: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, kind in ACCELERATORS.items():
        there = name in available or name == "cpu"
        monkeypatch.setattr(kind, "is_available", staticmethod(lambda there=there: there))
    assert device_of(accelerator) == device


@pytest.mark.long
def test_a_compiled_network_predicts_what_it_would_uncompiled(
    competition: Path, folds_csv: Path
) -> None:
    options = ["--trainer.max_epochs=1", "--model.ema_decay=0.9"]
    plain = tiny_config(competition, folds_csv, *options)
    expected = train_fold(plain, 0)
    oof = (plain.run_dir / "fold_0" / "oof.csv").read_text()
    compiled = tiny_config(competition, folds_csv, *options, "--model.torch_compile=true",
                           f"--run_dir={plain.run_dir}_compiled")  # fmt: skip
    result = train_fold(compiled, 0)
    assert expected is not None
    assert result is not None
    assert (compiled.run_dir / "fold_0" / "best.ckpt").is_file()
    values = [
        [float(line.rsplit(",", 1)[1]) for line in text.splitlines()[1:]]
        for text in (oof, (compiled.run_dir / "fold_0" / "oof.csv").read_text())
    ]
    assert values[1] == pytest.approx(values[0], abs=1e-4)


class _Reads(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Counts what makes a processor wait for its device: reading the value of a tensor."""

    n_reads = 0

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        self.n_reads += func is torch.ops.aten._local_scalar_dense.default
        return func(*args, **(kwargs or {}))


class _Watch(pl.Callback):
    def __init__(self) -> None:
        self.reads: Any = _Reads()  # type: ignore[no-untyped-call]
        self.n_steps = 0

    def on_train_batch_start(self, *_: Any) -> None:
        self.reads.__enter__()

    def on_train_batch_end(self, *_: Any) -> None:
        self.reads.__exit__(None, None, None)
        self.n_steps += 1


@pytest.mark.parametrize(
    "options",
    [
        ["--model.mixup_alpha=0.2", "--model.ema_decay=0.9"],
        ["--model.target=diagnosis", "--model.metadata=true", "--trainer.gradient_clip_val=1"],
    ],
    ids=["mixed", "diagnosis"],
)
def test_no_step_waits_for_the_device(
    competition: Path, folds_csv: Path, options: list[str]
) -> None:
    config = tiny_config(competition, folds_csv, *options, "--trainer.max_epochs=1")
    watch = _Watch()
    config.trainer["callbacks"] = [watch]
    train_fold(config, 0)
    assert watch.n_steps > 1
    assert watch.reads.n_reads == 0
