"""Folds trained, resumed and predicted on XLA, through the functions that everybody calls.

With PJRT_DEVICE=CPU the device is the processor, compiled for by XLA: the same programs, transfers
and checkpoints as on a TPU core, but one core only.
"""

from pathlib import Path
from typing import Any

import lightning.pytorch as pl
import numpy as np
import pandas as pd
import pytest
import torch

from melanoma.folds.creation import create_folds
from melanoma.prediction.folds import predict_folds
from melanoma.run_folder import RunFolder
from melanoma.training import inputs
from melanoma.training.config import RunConfig
from melanoma.training.fold import train_fold
from melanoma.training.launch import train_folds
from melanoma.training.stopping import TrainingStopped
from tiny_run import tiny_config

# 16 pixels are too few: torch_xla leaves nothing of a map of one pixel that is pooled.
SIZE = "--data.image_size=32"
# Everything that draws random numbers on the device, averages, clips, or feeds more than pixels.
RICH = (
    *("--model.target=diagnosis", "--model.metadata=true", "--model.dropout=0.2"),
    *("--model.mixup_alpha=0.4", "--model.label_smoothing=0.1", "--model.ema_decay=0.9"),
    *("--trainer.gradient_clip_val=1", "--trainer.max_epochs=3", "--trainer.precision=bf16-mixed"),
)
# Gradient descent itself: Adam's first steps are of one size, whatever the size of the gradient, so
# that a rounding of one that is nearly zero would decide their direction. And no batch norm, whose
# running variance torch_xla updates with the biased estimate, torch with the unbiased one.
PLAIN = (
    "--model.backbone=test_convnext",
    "--model.optimizer=sgd",
    "--model.learning_rate=0.01",
    "--model.ema_decay=0.5",
    "--model.views=4",
)


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory, _tiny: Path) -> tuple[Path, Path]:
    """The tiny competition, and two folds of it."""
    folds_csv = tmp_path_factory.mktemp("xla") / "folds" / "folds.csv"
    create_folds(_tiny, n_folds=2, output=folds_csv)
    return _tiny, folds_csv


def config_of(tiny: tuple[Path, Path], name: str, *options: str) -> RunConfig:
    run_dir = tiny[1].parents[1] / "runs" / name
    return tiny_config(*tiny, SIZE, *options, f"--run_dir={run_dir}")


@pytest.fixture(scope="module")
def runs(tiny: tuple[Path, Path]) -> dict[str, RunFolder]:
    """The same two folds trained and predicted on XLA and on the processor."""
    made = {}
    with pytest.MonkeyPatch.context() as patch:
        # Torch counts the devices of a process at its first backward pass, and `watched` trains in
        # this one: for the run on the processor no step is tried here.
        patch.setattr(inputs, "rehearse", lambda *_: None)
        for device in ("tpu", "cpu"):
            accelerator = f"--trainer.accelerator={device}"
            config = config_of(tiny, device, *PLAIN, accelerator, "--fold=all")
            assert train_folds(config) == config.run_dir
            made[device] = RunFolder(config.run_dir)
    return made


@pytest.fixture(scope="module")
def watched(tiny: tuple[Path, Path], runs: object) -> tuple[RunFolder, Any]:
    """A fold trained with everything there is, and what XLA counted; after `runs`, see there."""
    from tpu.counts import Watch

    config = config_of(tiny, "watched", *RICH, "--trainer.accelerator=tpu")
    watch = Watch()
    config.trainer["callbacks"] = [watch]
    train_fold(config, 0)
    return RunFolder(config.run_dir), watch


def test_the_launcher_leaves_the_cores_to_the_folds(runs: dict[str, RunFolder]) -> None:
    import torch_xla

    assert not torch_xla._XLAC._xla_runtime_is_initialized()


def test_every_image_is_predicted_once(runs: dict[str, RunFolder], tiny: tuple[Path, Path]) -> None:
    folds = pd.read_csv(tiny[1])
    for number in (0, 1):
        folder = runs["tpu"].fold(number)
        oof, test = pd.read_csv(folder.oof_csv), pd.read_csv(folder.test_csv)
        assert len(oof) % 4  # the last batch was filled up
        assert len(test) % 4
        validated = folds.loc[folds["fold"] == number, "image_name"]
        assert oof["image_name"].tolist() == validated.tolist()
        assert (
            test["image_name"].tolist() == pd.read_csv(tiny[0] / "test.csv")["image_name"].tolist()
        )


@pytest.mark.parametrize("number", [0, 1])
@pytest.mark.parametrize("table", ["oof_csv", "test_csv"])
def test_predictions_are_those_of_the_processor(
    runs: dict[str, RunFolder], number: int, table: str
) -> None:
    # Both are float32: sums in another order differ by some 1e-7 of their size, which the steps of
    # two epochs and a sigmoid carry on. 1e-5 is two orders above, and far below what a wrong
    # photograph, step, average or seed would change.
    ours, theirs = (
        pd.read_csv(getattr(runs[device].fold(number), table))["prediction"].to_numpy()
        for device in ("tpu", "cpu")
    )
    np.testing.assert_allclose(ours, theirs, rtol=0, atol=1e-5)
    assert np.ptp(theirs) > 1e-2


@pytest.mark.parametrize("name", ["best_checkpoint", "last_checkpoint"])
def test_checkpoints_load_on_a_processor(runs: dict[str, RunFolder], name: str) -> None:
    path = getattr(runs["tpu"].fold(0), name)
    tensors = list(_tensors(torch.load(path, weights_only=True)))
    assert len(tensors) > 10
    assert {tensor.device.type for tensor in tensors} == {"cpu"}
    assert not list(path.parent.glob(".*.ckpt"))


def test_a_processor_predicts_with_what_xla_trained(runs: dict[str, RunFolder]) -> None:
    run = runs["tpu"]
    before = pd.read_csv(run.fold(0).test_csv)
    predict_folds(run.path, accelerator="cpu", overwrite=True)
    pd.testing.assert_frame_equal(pd.read_csv(run.fold(0).test_csv), before, rtol=0, atol=1e-5)


def test_folds_and_views_share_one_program(runs: dict[str, RunFolder], watched: object) -> None:
    from tpu.counts import Counts, largest_program

    sizes, compiled = [], []
    for folds in ("0", "all"):
        largest_program()  # forgets all counts
        before = Counts.now()
        predict_folds(runs["tpu"].path, fold=folds, overwrite=True)
        compiled.append((Counts.now() - before).compilations)
        sizes.append(largest_program())
    assert sizes[0] == sizes[1]
    assert compiled[0] < 12
    assert compiled[1] <= 3  # that the predictions of two folds lie side by side


def test_nothing_is_compiled_after_the_first_epoch(watched: tuple[RunFolder, Any]) -> None:
    _, first, *later = watched[1].epochs
    assert first.compilations > 0
    assert [epoch.compilations for epoch in later] == [0] * len(later)
    assert len(later) == 2


def test_no_step_waits_for_the_device(watched: tuple[RunFolder, Any]) -> None:
    steps = [step for epoch in watched[1].steps for step in epoch]
    batches = [batch for epoch in watched[1].validations for batch in epoch]
    assert len(steps) == 12
    assert {step.fetched for step in steps} == {step.read for step in steps} == {0}
    # The first one reads, before it, whether a loss was no number.
    assert all(batch.fetched == 0 for batch in batches)


def test_a_step_sends_some_numbers_and_no_weights(watched: tuple[RunFolder, Any]) -> None:
    # Its seed, its rate, the shares of mixup; not counted here: the five parts of its batch.
    later = [step.sent for epoch in watched[1].steps[1:] for step in epoch]
    assert max(later) <= 6


def test_an_interrupted_fold_goes_on_as_if_it_had_not_been(
    tiny: tuple[Path, Path], watched: tuple[RunFolder, Any]
) -> None:
    config = config_of(tiny, "resumed", *RICH, "--trainer.accelerator=tpu")
    config.trainer["callbacks"] = [_Interruption()]
    with pytest.raises(TrainingStopped):
        train_fold(config, 0)
    config = config_of(tiny, "resumed", *RICH, "--trainer.accelerator=tpu")
    train_fold(config, 0)
    ours, theirs = RunFolder(config.run_dir).fold(0), watched[0].fold(0)
    metrics = [pd.read_csv(folder.metrics_csv) for folder in (ours, theirs)]
    pd.testing.assert_frame_equal(metrics[0], metrics[1], rtol=0, atol=1e-5)
    predicted = [pd.read_csv(folder.oof_csv) for folder in (ours, theirs)]
    pd.testing.assert_frame_equal(predicted[0], predicted[1], rtol=0, atol=1e-5)


class _Interruption(pl.Callback):
    def on_train_batch_start(self, trainer: pl.Trainer, *_: Any) -> None:
        if trainer.current_epoch == 1:
            raise TrainingStopped


def _tensors(content: Any) -> Any:
    if isinstance(content, torch.Tensor):
        yield content
    elif isinstance(content, dict):
        for value in content.values():
            yield from _tensors(value)
    elif isinstance(content, list | tuple):
        for value in content:
            yield from _tensors(value)
