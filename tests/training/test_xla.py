"""What can be shown of TPUs without torch_xla; the rest is in tests/tpu."""

import os
import pickle
from pathlib import Path
from typing import Any

import lightning.pytorch as pl
import pandas as pd
import pytest
from lightning.pytorch.strategies import SingleDeviceStrategy

from melanoma.images.datamodule import MelanomaDataModule
from melanoma.models import acceleration
from melanoma.training import precision
from melanoma.training.fold import train_fold
from melanoma.training.precision import with_precision
from melanoma.training.trainer import check_trainer, create_trainer
from melanoma.training.xla import leave_one_host_topology
from tiny_run import tiny_config


@pytest.mark.parametrize(("devices", "left"), [("auto", False), (8, False), (1, True), ("1", True)])
def test_the_addresses_of_kaggles_image_are_left_out_for_several_cores(
    monkeypatch: pytest.MonkeyPatch, devices: Any, left: bool
) -> None:
    monkeypatch.setenv("TPU_PROCESS_ADDRESSES", "local")
    monkeypatch.setenv("CLOUD_TPU_TASK_ID", "0")
    leave_one_host_topology({"devices": devices})
    assert ("TPU_PROCESS_ADDRESSES" in os.environ) is left
    assert ("CLOUD_TPU_TASK_ID" in os.environ) is left


def test_addresses_of_several_hosts_stay(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TPU_PROCESS_ADDRESSES", "10.0.0.1:8476,10.0.0.2:8476")
    leave_one_host_topology({"devices": "auto"})
    assert "TPU_PROCESS_ADDRESSES" in os.environ


def test_no_tpu_is_started_to_check_its_options(
    competition: Path, folds_csv: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = tiny_config(competition, folds_csv, "--trainer.accelerator=tpu")
    made: list[dict[str, Any]] = []
    monkeypatch.setattr(pl, "Trainer", lambda **options: made.append(options))
    check_trainer(config)
    assert [options["accelerator"] for options in made] == ["cpu"]


def test_bfloat16_on_a_tpu_is_torch_xlas_own(monkeypatch: pytest.MonkeyPatch) -> None:
    class Stands:
        """In place of what needs torch_xla."""

    monkeypatch.setattr(precision, "XLAMixedPrecision", Stands)
    for asked in ("bf16-mixed", None):
        options = with_precision({"accelerator": "tpu", "precision": asked}, 32)
        assert options["precision"] is None
        assert [type(plugin) for plugin in options["plugins"]] == [Stands]
    options = with_precision({"accelerator": "tpu", "precision": "32-true", "devices": 1}, 32)
    assert options == {"accelerator": "tpu", "precision": "32-true", "devices": 1}


def test_a_tpu_gets_batches_of_one_size_and_counts_steps_itself(
    competition: Path, folds_csv: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = tiny_config(competition, folds_csv)
    data = config.data_module(0)
    data.setup()
    module = config.module(data)
    made = create_trainer(config, 0, data)
    monkeypatch.setattr(acceleration, "device_of", lambda _: "tpu")
    made.datamodule = data  # type: ignore[attr-defined]
    module.trainer = made
    module.setup("fit")
    assert data.fill_batches
    assert module.create_optimizer().param_groups[0]["capturable"]


def test_what_several_cores_are_sent_can_be_sent(competition: Path, folds_csv: Path) -> None:
    # torch_xla starts a process per core and hands the trainer, module and data over by pickle.
    options = ["--model.ema_decay=0.9", "--model.metadata=true", "--data.cache=cache"]
    config = tiny_config(competition, folds_csv, *options, "--photographs=2")
    data = config.data_module(0)
    data.setup()
    module = config.module(data)
    made = create_trainer(config, 0, data)
    there, _, _ = pickle.loads(pickle.dumps((made, module, data)))  # noqa: S301
    assert isinstance(there.strategy, SingleDeviceStrategy)


def test_filled_up_batches_change_no_prediction(
    competition: Path, folds_csv: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    plain = tiny_config(competition, folds_csv, "--trainer.max_epochs=1")
    train_fold(plain, 0)
    run_dir = f"--run_dir={plain.run_dir}_filled"
    filled = tiny_config(competition, folds_csv, "--trainer.max_epochs=1", run_dir)
    # Set by the module when it knows its device, and kept here.
    monkeypatch.setattr(
        MelanomaDataModule, "fill_batches", property(lambda _: True, lambda *_: None), raising=False
    )
    train_fold(filled, 0)
    ours, theirs = (pd.read_csv(run.run_dir / "fold_0" / "oof.csv") for run in (plain, filled))
    assert len(ours) % 4  # the last batch was filled up
    pd.testing.assert_frame_equal(ours, theirs, atol=1e-6)


def test_an_optimizer_goes_on_as_its_device_does_it(competition: Path, folds_csv: Path) -> None:
    config = tiny_config(competition, folds_csv)
    data = config.data_module(0)
    data.setup()
    module = config.module(data)
    group = {"fused": True, "capturable": True, "lr": 0.1}
    module.on_load_checkpoint({"optimizer_states": [{"param_groups": [group]}]})
    assert group == {"fused": False, "capturable": False, "lr": 0.1}
