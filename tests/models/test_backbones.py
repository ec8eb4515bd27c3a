import copy
import pickle

import pytest
import timm
import torch
from torch import Tensor, nn

from melanoma.errors import ConfigError
from melanoma.models.backbones import (
    Backbone,
    Pooling,
    check_backbone,
    check_image_size,
    create_backbone,
    set_batch_norm_momentum,
)
from melanoma.models.pooling import GeneralisedMean

B0 = "efficientnet_pytorch:efficientnet-b0"
CONVOLUTIONAL = [
    "test_byobnet",
    "test_convnext",
    "test_convnext2",
    "test_efficientnet",
    "test_efficientnet_evos",
    "test_mambaout",
    "test_nfnet",
    "test_resnet",
    "mobilenetv3_small_050",
    "resnet10t",
    B0,
]
TRANSFORMERS = ["test_vit", "test_vit3", "test_vit_relpos"]


def photographs(size_px: int = 64, n_images: int = 2) -> Tensor:
    return torch.randn(n_images, 3, size_px, size_px, generator=torch.Generator().manual_seed(0))


def features_and_map(backbone: Backbone) -> tuple[Tensor, Tensor]:
    backbone.eval()
    with torch.no_grad():
        maps = backbone.network.forward_features(photographs())  # type: ignore[operator]
        return backbone(photographs()), maps


@pytest.mark.parametrize("name", CONVOLUTIONAL)
@pytest.mark.parametrize("pooling", ["default", "gem", "max"])
def test_convolutional_networks_give_a_vector_of_the_length_they_say(
    name: str, pooling: Pooling
) -> None:
    backbone = create_backbone(name, pooling=pooling).eval()
    with torch.no_grad():
        assert backbone(photographs()).shape == (2, backbone.n_features)


@pytest.mark.parametrize("name", [*TRANSFORMERS, "test_maxvit", "test_coatnet"])
def test_transformers_give_a_vector_of_the_length_they_say(name: str) -> None:
    backbone = create_backbone(name).eval()
    with torch.no_grad():
        assert backbone(photographs(160)).shape == (2, backbone.n_features)


def test_layers_after_the_pooling_count() -> None:
    assert create_backbone("mobilenetv3_small_050").n_features == 1024
    assert create_backbone("test_resnet").n_features == 96


@pytest.mark.parametrize("name", ["test_resnet", B0])
def test_a_feature_map_is_pooled_as_asked(name: str) -> None:
    features, maps = features_and_map(create_backbone(name, pooling="avg"))
    torch.testing.assert_close(features, maps.mean((2, 3)))
    features, maps = features_and_map(create_backbone(name, pooling="max"))
    torch.testing.assert_close(features, maps.amax((2, 3)))
    features, maps = features_and_map(create_backbone(name, pooling="gem"))
    expected = maps.clamp(min=1e-6).pow(3).mean((2, 3)).pow(1 / 3)
    torch.testing.assert_close(features, expected)


def test_the_generalised_mean_goes_from_the_mean_to_the_maximum() -> None:
    maps = torch.tensor([[[[1.0, 2.0], [3.0, 4.0]]]])
    assert GeneralisedMean((2, 3), p=1.0)(maps).item() == pytest.approx(2.5)
    assert GeneralisedMean((2, 3), p=200.0)(maps / 4).item() == pytest.approx(1.0, abs=0.01)
    assert GeneralisedMean((2, 3))(maps).item() == pytest.approx(25 ** (1 / 3))
    assert GeneralisedMean((1, 2))(maps.movedim(1, 3)).shape == (1, 1, 1, 1)


def test_the_generalised_mean_learns_its_power_and_stands_large_and_no_features() -> None:
    pool = GeneralisedMean((2, 3)).half()
    maps = torch.tensor([[[[0.0, 0.0]], [[300.0, 500.0]]]], dtype=torch.float16)
    maps.requires_grad_()
    pooled = pool(maps)
    pooled.sum().backward()
    assert pooled.dtype == torch.float16
    assert 400 < pooled[0, 1].item() < 500
    assert pool.p.grad is not None
    assert torch.isfinite(pool.p.grad).all()
    assert maps.grad is not None
    assert torch.isfinite(maps.grad).all()


def test_maps_with_their_channels_last_are_pooled_over_their_pixels() -> None:
    backbone = create_backbone("test_mambaout", pooling="gem")
    assert isinstance(backbone.pool, GeneralisedMean)
    assert backbone.pool.dimensions == (1, 2)


@pytest.mark.parametrize("name", [*TRANSFORMERS, "levit_128s"])
def test_the_generalised_mean_needs_a_map(name: str) -> None:
    with pytest.raises(
        ConfigError, match=rf"--model.pooling gem: needs a convolutional network.*; {name} gives"
    ):
        create_backbone(name, pooling="gem")


def test_tokens_are_pooled_where_the_network_can() -> None:
    backbone = create_backbone("test_vit", pooling="avg").eval()
    with torch.no_grad():
        assert backbone(photographs(160)).shape == (2, backbone.n_features)


@pytest.mark.parametrize("name", ["test_vit_relpos", "levit_128s"])
def test_a_pooling_that_a_network_does_not_have_is_refused(name: str) -> None:
    with pytest.raises(ConfigError, match=f"--model.pooling max: {name} does not pool so"):
        create_backbone(name, pooling="max")


def test_an_unknown_pooling_is_named() -> None:
    with pytest.raises(
        ConfigError, match=r"--model.pooling min: not known. Choose one of default, avg, max, gem"
    ):
        create_backbone("test_resnet", pooling="min")  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("name", "nearest"),
    [
        ("resnet19", "resnet18"),
        ("tf_efficientnet_b00", "tf_efficientnet_b0"),
        ("efficientnet_pytorch:efficientnet-b9", "efficientnet_pytorch:efficientnet-b"),
        ("resnet10t.c4_in1k", "resnet10t.c3_in1k"),
    ],
)
def test_an_unknown_network_is_named_with_the_nearest(name: str, nearest: str) -> None:
    with pytest.raises(ConfigError, match=rf"--model.backbone {name}: .* Did you mean .*{nearest}"):
        check_backbone(name)


def test_every_name_that_the_libraries_know_is_known() -> None:
    for name in [*timm.list_models()[::50], "tf_efficientnet_b0.ns_jft_in1k", B0]:
        check_backbone(name)


def test_a_network_is_made_by_its_name_alone() -> None:
    with pytest.raises(ConfigError, match=r"--model.backbone resnet19: "):
        create_backbone("resnet19")


def test_networks_describe_the_pixels_they_expect() -> None:
    assert create_backbone("test_vit").statistics.mean == (0.5, 0.5, 0.5)
    assert create_backbone("resnet10t").statistics.mean == (0.485, 0.456, 0.406)
    assert create_backbone(B0).statistics.std == (0.229, 0.224, 0.225)


@pytest.mark.parametrize("name", ["test_resnet", "test_vit"])
def test_drop_path_reaches_the_network(name: str) -> None:
    network = create_backbone(name, drop_path=0.375)
    rates = [m.drop_prob for m in network.modules() if isinstance(m, timm.layers.DropPath)]
    assert max(rates) == pytest.approx(0.375)


def test_drop_path_reaches_efficientnet_pytorch() -> None:
    rates = [
        create_backbone(B0, drop_path=rate).network._global_params.drop_connect_rate  # type: ignore[union-attr]
        for rate in (None, 0.0, 0.375)
    ]
    assert rates == [0.2, 0.0, 0.375]


def test_drop_path_that_a_network_does_not_have_is_refused() -> None:
    with pytest.raises(
        ConfigError, match=r"--model.drop_path 0.1: repghostnet_050 has no stochastic depth"
    ):
        create_backbone("repghostnet_050", drop_path=0.1)


@pytest.mark.parametrize("drop_path", [-0.1, 1.0])
def test_drop_path_is_a_probability(drop_path: float) -> None:
    with pytest.raises(ConfigError, match=f"--model.drop_path {drop_path}: must be"):
        create_backbone("test_resnet", drop_path=drop_path)


def test_a_network_of_one_size_is_made_for_that_of_the_photographs() -> None:
    backbone = create_backbone("test_vit3", image_size_px=96)
    check_image_size(backbone, 96)
    with torch.no_grad():
        assert backbone.eval()(photographs(96)).shape == (2, backbone.n_features)


def test_a_network_of_any_size_is_not_bound_to_one() -> None:
    backbone = create_backbone("test_resnet", image_size_px=96)
    check_image_size(backbone, 128)
    check_image_size(create_backbone(B0, image_size_px=96), 128)


@pytest.mark.parametrize(
    ("name", "size_px", "sizes"),
    [
        # Leaves out the margin of 10 pixels where nobody asks.
        ("test_vit3", 250, r"made for 160 pixels and works in steps of 16: choose 240 or 256\."),
        ("test_maxvit", 100, r"made for 160 pixels and works in steps of 32: choose 96 or 128\."),
        ("crossvit_tiny_240", 256, r"made for 240 pixels: choose 240\."),
        ("test_vit3", 7, r"made for 160 pixels and works in steps of 16: choose 16\."),
    ],
)
def test_a_size_that_a_network_cannot_be_made_for_is_named_with_the_nearest(
    name: str, size_px: int, sizes: str
) -> None:
    with pytest.raises(ConfigError, match=f"--data.image_size {size_px}: {name} does.*{sizes}"):
        create_backbone(name, image_size_px=size_px)


@pytest.mark.parametrize(
    ("name", "size_px", "sizes"),
    [
        ("dla46_c", 100, r"made for 224 pixels and works in steps of 32: choose 96 or 128\."),
        ("test_vit3", 192, r"made for 160 pixels: choose 160\."),
        ("halonet26t", 288, r"made for 256 pixels: choose 256\."),
    ],
)
def test_a_size_that_a_network_does_not_take_is_named_with_the_nearest(
    name: str, size_px: int, sizes: str
) -> None:
    with pytest.raises(ConfigError, match=f"--data.image_size {size_px}: {name} does.*{sizes}"):
        check_image_size(create_backbone(name), size_px)


def test_a_network_that_was_made_for_a_size_can_be_made_for_others() -> None:
    with pytest.raises(ConfigError, match=r"--data.image_size 100: .* choose 96 or 112"):
        check_image_size(create_backbone("test_vit3", image_size_px=96), 100)


def test_to_check_a_size_changes_nothing() -> None:
    backbone = create_backbone("test_resnet")
    before = copy.deepcopy(backbone.state_dict())
    check_image_size(backbone, 64)
    assert backbone.training
    assert all(module.training for module in backbone.modules())
    for name, tensor in backbone.state_dict().items():
        assert torch.equal(tensor, before[name])


def test_batch_norm_momentum_is_set_everywhere() -> None:
    network = create_backbone(B0)
    layers = [layer for layer in network.modules() if isinstance(layer, nn.BatchNorm2d)]
    assert {round(layer.momentum or 0, 6) for layer in layers} == {0.01}
    set_batch_norm_momentum(network)
    assert {layer.momentum for layer in layers} == {0.1}


@pytest.mark.parametrize("name", ["test_resnet", B0])
def test_networks_can_be_sent_to_another_process(name: str) -> None:
    backbone = create_backbone(name, pooling="gem").eval()
    sent = pickle.loads(pickle.dumps(backbone))  # noqa: S301
    with torch.no_grad():
        assert torch.equal(sent(photographs()), backbone(photographs()))
