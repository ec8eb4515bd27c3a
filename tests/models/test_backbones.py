import pytest
import timm
import torch
from torch import nn

from melanoma.errors import ConfigError
from melanoma.models import backbones
from melanoma.models.backbones import (
    check_backbone,
    create_backbone,
    load_imagenet_weights,
    pixel_statistics,
    set_batch_norm_momentum,
)


@pytest.mark.parametrize(
    "name", ["test_resnet", "test_vit", "efficientnet_pytorch:efficientnet-b0", "test_convnext"]
)
def test_any_network_gives_one_logit(name: str) -> None:
    network = create_backbone(name).eval()
    size_px = 160 if "vit" in name else 64
    assert network(torch.zeros(2, 3, size_px, size_px)).shape == (2, 1)


@pytest.mark.parametrize(
    ("name", "nearest"),
    [
        ("resnet19", "resnet18"),
        ("tf_efficientnet_b00", "tf_efficientnet_b0"),
        ("efficientnet_pytorch:efficientnet-b9", "efficientnet_pytorch:efficientnet-b"),
    ],
)
def test_an_unknown_network_is_named_with_the_nearest(name: str, nearest: str) -> None:
    with pytest.raises(ConfigError, match=rf"--model.backbone {name}: .* Did you mean .*{nearest}"):
        check_backbone(name, "none")


def test_unknown_weights_are_named() -> None:
    with pytest.raises(
        ConfigError, match=r"--model.weights noisy: not known. Choose none or imagenet"
    ):
        check_backbone("resnet18", "noisy")


def test_a_tag_belongs_to_a_timm_name() -> None:
    check_backbone("tf_efficientnet_b0.ns_jft_in1k", "imagenet")


def test_networks_describe_the_pixels_they_expect() -> None:
    assert pixel_statistics(create_backbone("test_vit")).mean == (0.5, 0.5, 0.5)
    b0 = create_backbone("efficientnet_pytorch:efficientnet-b0")
    assert pixel_statistics(b0).std == (0.229, 0.224, 0.225)


@pytest.mark.parametrize("name", ["test_resnet", "efficientnet_pytorch:efficientnet-b0"])
def test_dropout_reaches_the_network(name: str) -> None:
    network = create_backbone(name, dropout=0.875)
    drops = [layer.p for layer in network.modules() if isinstance(layer, nn.Dropout)]
    assert 0.875 in drops or getattr(network, "drop_rate", None) == 0.875


def test_batch_norm_momentum_is_set_everywhere() -> None:
    network = create_backbone("efficientnet_pytorch:efficientnet-b0")
    layers = [layer for layer in network.modules() if isinstance(layer, nn.BatchNorm2d)]
    assert {round(layer.momentum or 0, 6) for layer in layers} == {0.01}
    set_batch_norm_momentum(network)
    assert {layer.momentum for layer in layers} == {0.1}


def test_weights_that_cannot_be_had_are_a_message(monkeypatch: pytest.MonkeyPatch) -> None:
    def offline(*arguments: object, **options: object) -> None:
        raise OSError("no route to host")

    monkeypatch.setattr("timm.create_model", offline)
    with pytest.raises(
        ConfigError, match=r"weights of resnet18 cannot be had \(no route to host\)"
    ):
        create_backbone("resnet18", pretrained=True)


def test_imagenet_weights_reach_the_network(monkeypatch: pytest.MonkeyPatch) -> None:
    pretrained = create_backbone("test_resnet")
    monkeypatch.setattr(backbones, "create_backbone", lambda *_, **__: pretrained)
    network = timm.create_model("test_resnet", num_classes=1)
    load_imagenet_weights(network, "test_resnet")
    for name, tensor in network.state_dict().items():
        assert torch.equal(tensor, pretrained.state_dict()[name])
