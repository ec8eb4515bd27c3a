import lightning.pytorch as pl
import numpy as np
import pytest
import torch
from torch import Tensor
from torch.utils.data import DataLoader

from melanoma.errors import ConfigError
from melanoma.images.dataset import Batch
from melanoma.metadata import MetadataStatistics
from melanoma.metrics import auc
from melanoma.models.metadata import drop_metadata
from melanoma.models.module import MelanomaModule
from melanoma.models.views import symmetric_views
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
        {
            "image": image[i],
            "target": target[i],
            "index": torch.tensor(i),
            "diagnosis": torch.tensor(0 if target[i] else 1 + i % 3),
        }
        for i in range(n_images)
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
    expected = float(network.loss(logits[:, None], targets[:, None]))
    assert scores["val_loss"] == pytest.approx(expected, rel=1e-5)


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


def test_a_training_without_an_end_has_no_schedule() -> None:
    with pytest.raises(ConfigError, match=r"--trainer.max_epochs -1: .* needs an end"):
        trainer(max_epochs=-1).fit(module(), batches(8, 4), batches(8, 4))


def test_hyperparameters_are_saved() -> None:
    assert module(loss="focal").hparams["loss"] == "focal"


def test_pixels_are_normalised_on_the_device() -> None:
    network = module(backbone="resnet10t").eval()
    seen: list[Tensor] = []
    network.network.backbone.register_forward_pre_hook(lambda _, given: seen.append(given[0]))
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


def weights_of(network: MelanomaModule) -> dict[str, Tensor]:
    return {name: tensor.clone() for name, tensor in network.state_dict().items()}


def test_the_backbone_is_held_still_while_it_is_frozen() -> None:
    network = module(freeze_epochs=1)
    before = weights_of(network)
    trainer(max_epochs=1).fit(network, batches(16, 4), batches(16, 8))
    after = weights_of(network)
    changed = {name for name in before if not torch.equal(before[name], after[name])}
    assert changed == {"network.head.1.weight", "network.head.1.bias"}
    trainer(max_epochs=2).fit(module(freeze_epochs=1), batches(16, 4), batches(16, 8))


def test_a_frozen_backbone_learns_after_its_epochs() -> None:
    network = module(freeze_epochs=1)
    before = weights_of(network)
    trainer(max_epochs=2).fit(network, batches(16, 4), batches(16, 8))
    name = next(name for name in before if name.startswith("network.backbone") and "conv" in name)
    assert not torch.equal(before[name], network.state_dict()[name])


def test_mixing_is_a_function_of_the_seed() -> None:
    def trained(**settings: object) -> Tensor:
        torch.manual_seed(0)
        network = module(**settings)
        trainer(max_epochs=1).fit(network, batches(16, 4), batches(16, 8))
        return weights_of(network)["network.head.1.weight"]

    mixed = trained(mixup_alpha=0.8, cutmix_alpha=1.0, seed=1)
    assert torch.equal(mixed, trained(mixup_alpha=0.8, cutmix_alpha=1.0, seed=1))
    assert not torch.equal(mixed, trained(mixup_alpha=0.8, cutmix_alpha=1.0, seed=2))
    assert not torch.equal(mixed, trained())


def test_label_smoothing_reaches_the_loss() -> None:
    def first_loss(smoothing: float) -> float:
        torch.manual_seed(0)
        network = module(label_smoothing=smoothing)
        loop = trainer(max_steps=1)
        loop.fit(network, batches(16, 4), batches(16, 8))
        return float(loop.callback_metrics["train_loss"])

    assert first_loss(0.2) != first_loss(0.0)


def test_predictions_are_the_mean_of_the_views() -> None:
    torch.manual_seed(0)
    network = module(views=8).eval()
    batch = next(iter(batches(4, 4)))
    with torch.no_grad():
        predicted = network.predict_step(batch, 0)["prediction"]
        views = symmetric_views(batch["image"], 8)
        expected = torch.stack([torch.sigmoid(network(view)) for view in views]).mean(dim=0)
    assert torch.allclose(predicted, expected, atol=1e-6)
    assert not torch.allclose(predicted, torch.sigmoid(network(batch["image"])), atol=1e-4)


def test_metadata_changes_the_prediction_and_may_be_dropped() -> None:
    torch.manual_seed(0)
    statistics = MetadataStatistics(["female", "male"], ["torso"], 50.0, 10.0, 1.0, 1.0)
    network = module(metadata=True, metadata_statistics=vars(statistics)).eval()
    image = next(iter(batches(4, 4)))["image"]
    known = torch.randn(4, statistics.n_features)
    with torch.no_grad():
        assert not torch.allclose(network(image, known), network(image, torch.zeros_like(known)))
    assert not drop_metadata(known, 1.0).any()
    assert torch.equal(drop_metadata(known, 0.0), known)
    kept = drop_metadata(torch.ones(1000, 3), 0.3).mean().item()
    assert 0.6 < kept < 0.8


def test_the_branch_has_the_sizes_asked_for() -> None:
    statistics = vars(MetadataStatistics([], [], 50.0, 10.0, 1.0, 1.0))
    network = module(metadata=True, metadata_statistics=statistics, metadata_sizes=(6, 3)).network
    assert network.head[1].in_features == network.backbone.n_features + 3
    assert network.branch is not None
    assert network.branch[0].out_features == 6


def test_metadata_need_statistics() -> None:
    with pytest.raises(ConfigError, match=r"--model.metadata true: the statistics"):
        module(metadata=True)


def test_diagnoses_are_learnt_and_judged_as_melanoma_against_the_rest() -> None:
    network = module(target="diagnosis")
    loader = batches(20, 4)
    scores = trainer().validate(network, loader, verbose=False)[0]
    network.eval()
    with torch.no_grad():
        log_odds = torch.cat([network(batch["image"]) for batch in loader])
    targets = torch.cat([batch["target"] for batch in loader])
    assert scores["val_auc"] == pytest.approx(auc(targets, log_odds.double()), abs=1e-6)
    network.train()
    loop = trainer(max_epochs=4)
    loop.fit(network, batches(64, 8), batches(64, 16))
    assert float(loop.callback_metrics["val_auc"]) > 0.8


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"learning_rate": 0.0}, r"--model.learning_rate 0.0: must be above 0"),
        ({"warmup_epochs": -1.0}, r"--model.warmup_epochs -1.0: must not be negative"),
        ({"dropout": 1.0}, r"--model.dropout 1.0: must be at least 0 and below 1"),
        ({"label_smoothing": -0.1}, r"--model.label_smoothing -0.1: must be at least 0"),
        ({"ema_decay": 1.5}, r"--model.ema_decay 1.5: must be at least 0 and below 1"),
        ({"freeze_epochs": -1}, r"--model.freeze_epochs -1: must not be negative"),
        ({"metadata_sizes": (0, 8)}, r"--model.metadata_sizes \[0, 8\]: must be at least 1 each"),
        ({"views": 3}, r"--model.views 3: choose 1, 4 or 8"),
    ],
)
def test_settings_out_of_range_are_named(settings: dict[str, float], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        module(**settings)
