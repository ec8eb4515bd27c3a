import lightning.pytorch as pl
import numpy as np
import pytest
import torch
from torch import Tensor
from torch.utils.data import DataLoader

from melanoma.errors import ConfigError
from melanoma.images.dataset import Batch
from melanoma.metrics import auc
from melanoma.models.module import MelanomaModule
from melanoma.training.noise import silence_known_noise


def module(**settings: object) -> MelanomaModule:
    options = {"backbone": "test_resnet", "weights": "none", **settings}
    return MelanomaModule(**options)  # type: ignore[arg-type]


def batches(n_images: int, batch_size: int) -> DataLoader[Batch]:
    random = torch.Generator().manual_seed(0)
    target = (torch.arange(n_images) % 3 == 0).float()
    shade = 60 + 120 * target
    noise = torch.randint(0, 60, (n_images, 3, 16, 16), generator=random)
    image = (noise + shade[:, None, None, None]).to(torch.uint8)
    rows = [
        {"image": image[i], "target": target[i], "index": torch.tensor(i)} for i in range(n_images)
    ]
    return DataLoader(rows, batch_size)  # type: ignore[arg-type]


def trainer(**options: object) -> pl.Trainer:
    silence_known_noise()
    quiet = {"logger": False, "enable_checkpointing": False, "enable_progress_bar": False}
    settings = {**quiet, "enable_model_summary": False, "accelerator": "cpu", **options}
    return pl.Trainer(**settings)  # type: ignore[arg-type]


def test_the_epochs_auc_is_that_of_all_batches_together() -> None:
    network, loader = module(), batches(20, 3)
    scores = trainer().validate(network, loader, verbose=False)[0]
    network.eval()
    with torch.no_grad():
        logits = torch.cat([network(batch["image"]) for batch in loader])
    targets = torch.cat([batch["target"] for batch in loader])
    assert scores["val_auc"] == pytest.approx(auc(targets, logits.double()), abs=1e-6)
    assert scores["val_loss"] == pytest.approx(float(network.loss(logits, targets)), rel=1e-5)


def test_testing_scores_known_targets_and_predicting_gives_probabilities_by_row() -> None:
    network, loader = module(), batches(20, 6)
    assert "test_auc" in trainer().test(network, loader, verbose=False)[0]
    outputs = trainer().predict(network, loader)
    assert outputs is not None
    rows = torch.cat([output["index"] for output in outputs])  # type: ignore[call-overload]
    probabilities = torch.cat([output["prediction"] for output in outputs])  # type: ignore[call-overload]
    assert rows.tolist() == list(range(20))
    assert ((probabilities > 0) & (probabilities < 1)).all()


@pytest.mark.parametrize("backbone", ["test_resnet", "test_efficientnet"])
def test_training_from_scratch_learns_within_80_steps(backbone: str) -> None:
    pl.seed_everything(0, verbose=False)
    network = module(backbone=backbone, learning_rate=3e-3, warmup_epochs=1)
    loop = trainer(max_epochs=10)
    loop.fit(network, batches(64, 8), batches(64, 16))
    assert loop.global_step == 80
    assert float(loop.callback_metrics["val_auc"]) > 0.95


@pytest.mark.parametrize(
    ("settings", "momentum"),
    [({}, 0.1), ({"weights": "imagenet"}, 0.01), ({"batch_norm_momentum": 0.05}, 0.05)],
)
def test_statistics_follow_faster_from_scratch(
    settings: dict[str, object], momentum: float
) -> None:
    # 0.01, the network's own, leaves constant predictions after 80 steps.
    network = module(backbone="efficientnet_pytorch:efficientnet-b0", **settings)
    layers = [layer for layer in network.modules() if isinstance(layer, torch.nn.BatchNorm2d)]
    assert {round(layer.momentum or 0, 6) for layer in layers} == {momentum}


def test_the_learning_rate_warms_up_and_falls_to_zero() -> None:
    rates: list[float] = []

    class Record(pl.Callback):
        def on_train_batch_start(self, trainer: pl.Trainer, *others: object) -> None:
            rates.append(trainer.optimizers[0].param_groups[0]["lr"])

    network = module(learning_rate=1.0e-3, warmup_epochs=1)
    loop = trainer(max_epochs=4, callbacks=[Record()])
    loop.fit(network, batches(16, 4), batches(16, 8))
    assert len(rates) == 16
    assert rates[3] == max(rates) == 1.0e-3
    assert rates[0] == pytest.approx(0.25e-3)
    assert sorted(rates[3:], reverse=True) == rates[3:]
    assert rates[-1] < 0.05e-3


def test_a_training_without_an_end_has_no_schedule() -> None:
    with pytest.raises(ConfigError, match=r"--trainer.max_epochs -1: .* needs an end"):
        trainer(max_epochs=-1).fit(module(), batches(8, 4), batches(8, 4))


def test_hyperparameters_are_saved() -> None:
    assert module(loss="focal").hparams["loss"] == "focal"


def test_pixels_are_normalised_on_the_device() -> None:
    network = module(backbone="resnet10t").eval()
    seen: list[Tensor] = []
    network.network.register_forward_pre_hook(lambda _, given: seen.append(given[0]))
    network(torch.full((1, 3, 16, 16), 255, dtype=torch.uint8))
    mean, std = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
    expected = [(1 - m) / s for m, s in zip(mean, std)]
    assert np.allclose(seen[0][0, :, 0, 0].numpy(), expected, atol=1e-5)


def test_the_memory_layout_changes_nothing() -> None:
    image = next(iter(batches(4, 4)))["image"]
    results = []
    for channels_last in (True, False):
        torch.manual_seed(0)
        results.append(module(channels_last=channels_last).eval()(image))
    assert torch.allclose(results[0], results[1], atol=1e-5)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"learning_rate": 0.0}, r"--model.learning_rate 0.0: must be above 0"),
        ({"warmup_epochs": -1.0}, r"--model.warmup_epochs -1.0: must not be negative"),
    ],
)
def test_settings_out_of_range_are_named(settings: dict[str, float], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        module(**settings)
