from itertools import pairwise

import pytest
import torch
from torch import Tensor, nn

from melanoma.errors import ConfigError
from melanoma.models.backbones import Backbone, create_backbone
from melanoma.models.optimizers import create_optimizer

B0 = "efficientnet_pytorch:efficientnet-b0"
RATE = 0.01


class Model(nn.Module):
    """A backbone, a head, and a part beside them."""

    def __init__(self, backbone: Backbone) -> None:
        super().__init__()
        self.backbone = backbone
        self.branch = nn.Sequential(nn.Linear(4, 4), nn.LayerNorm(4))
        self.head = nn.Linear(backbone.n_features + 4, 1)


def model(name: str = "test_resnet", **options: object) -> Model:
    return Model(create_backbone(name, **options))  # type: ignore[arg-type]


def optimizer(
    model: Model, name: str = "adamw", decay: float = 0.1, layer_decay: float | None = None
) -> torch.optim.Optimizer:
    return create_optimizer(model, model.backbone, name, RATE, decay, layer_decay)


def setting(optimizer: torch.optim.Optimizer, parameter: Tensor, name: str) -> float:
    """Of the one group that a parameter is in."""
    groups = [
        group for group in optimizer.param_groups for other in group["params"] if other is parameter
    ]
    assert len(groups) == 1
    return float(groups[0][name])


@pytest.mark.parametrize(
    "name",
    ["test_resnet", "test_efficientnet", "test_convnext", "test_mambaout", "test_vit", B0],
)
@pytest.mark.parametrize("layer_decay", [None, 0.5])
def test_each_parameter_is_in_one_group(name: str, layer_decay: float | None) -> None:
    pooling = "default" if name == "test_vit" else "gem"
    network = model(name, pooling=pooling)
    groups = optimizer(network, layer_decay=layer_decay).param_groups
    optimised = [id(parameter) for group in groups for parameter in group["params"]]
    assert sorted(optimised) == sorted(id(parameter) for parameter in network.parameters())


def test_what_is_frozen_stays_out() -> None:
    network = model()
    network.backbone.requires_grad_(False)
    network.head.bias.requires_grad_(False)
    groups = optimizer(network).param_groups
    optimised = {id(parameter) for group in groups for parameter in group["params"]}
    assert optimised == {id(network.head.weight), *map(id, network.branch.parameters())}


@pytest.mark.parametrize("layer_decay", [None, 0.5])
def test_biases_norms_and_positions_are_not_decayed(layer_decay: float | None) -> None:
    network = model("test_vit")
    made = optimizer(network, decay=0.125, layer_decay=layer_decay)
    for name, parameter in network.named_parameters():
        undecayed = name.endswith(("pos_embed", "cls_token", "bias")) or "norm" in name
        undecayed = undecayed or parameter.ndim == 1
        assert setting(made, parameter, "weight_decay") == (0 if undecayed else 0.125), name


def test_the_power_of_the_pooling_is_not_decayed_and_learns_at_the_full_rate() -> None:
    network = model(pooling="gem")
    made = optimizer(network, layer_decay=0.5)
    power = network.backbone.pool.p  # type: ignore[union-attr]
    assert isinstance(power, nn.Parameter)
    assert setting(made, power, "weight_decay") == 0
    assert setting(made, power, "lr") == RATE


def test_without_layer_decay_all_rates_are_the_same() -> None:
    for layer_decay in (None, 1.0):
        groups = optimizer(model(), layer_decay=layer_decay).param_groups
        assert {group["lr"] for group in groups} == {RATE}


@pytest.mark.parametrize(
    ("name", "from_below"),
    [
        ("test_resnet", ["conv1.0.weight", "layer1.0.conv1.weight", "layer4.0.conv1.weight"]),
        ("test_vit", ["patch_embed.proj.weight", "blocks.0.attn.qkv.weight", "norm.weight"]),
        (B0, ["_conv_stem.weight", "_blocks.0._depthwise_conv.weight", "_blocks.9._bn0.weight"]),
    ],
)
def test_the_rate_falls_from_layer_to_layer(name: str, from_below: list[str]) -> None:
    network = model(name)
    made = optimizer(network, layer_decay=0.5)
    parameters = dict(network.backbone.network.named_parameters())
    rates = [setting(made, parameters[name], "lr") for name in from_below]
    assert rates[0] < rates[1] < rates[2] <= RATE
    for parameter in [*network.head.parameters(), *network.branch.parameters()]:
        assert setting(made, parameter, "lr") == RATE


def test_neighbouring_layers_differ_by_the_decay() -> None:
    network = model(B0)
    made = optimizer(network, layer_decay=0.5)
    parameters = dict(network.backbone.network.named_parameters())
    rates = [setting(made, parameters[f"_blocks.{i}._bn1.weight"], "lr") for i in range(16)]
    for below, above in pairwise(rates):
        assert below == pytest.approx(above / 2)
    assert setting(made, parameters["_bn0.weight"], "lr") == pytest.approx(rates[0] / 2)
    assert setting(made, parameters["_bn1.weight"], "lr") == RATE


def test_schedules_of_torch_keep_the_ratios() -> None:
    network = model()
    made = optimizer(network, layer_decay=0.5)
    before = [group["lr"] for group in made.param_groups]
    schedule = torch.optim.lr_scheduler.LambdaLR(made, lambda step: 1 / (1 + step))
    made.step()
    schedule.step()
    assert [group["lr"] for group in made.param_groups] == [rate / 2 for rate in before]
    assert len(set(before)) > 3
    assert not any("lr_scale" in group for group in made.param_groups)


@pytest.mark.parametrize(
    "name", ["adamw", "adam", "sgd", "lamb", "nadamw", "lion", "radam", "rmsprop", "muon"]
)
def test_any_of_timms_optimisers_learns(name: str) -> None:
    network = model("test_resnet")
    made = optimizer(network, name)
    before = [parameter.detach().clone() for parameter in network.backbone.parameters()]
    network.backbone(torch.randn(2, 3, 32, 32)).square().sum().backward()
    made.step()
    for parameter, old in zip(network.backbone.parameters(), before):
        assert torch.isfinite(parameter).all()
        assert not torch.equal(parameter, old) or not parameter.grad.any()  # type: ignore[union-attr]


def test_adamw_is_torchs() -> None:
    assert isinstance(optimizer(model()), torch.optim.AdamW)


@pytest.mark.parametrize(
    ("name", "nearest"),
    [("adamv", "adam"), ("AdamW", "adamw"), ("fusedadam", "adam"), ("adahessian", "")],
)
def test_an_unknown_optimiser_is_named_with_the_nearest(name: str, nearest: str) -> None:
    with pytest.raises(ConfigError, match=rf"--model.optimizer {name}: timm has no .*{nearest}"):
        optimizer(model(), name)


@pytest.mark.parametrize("layer_decay", [0.0, -0.5, 1.1])
def test_layer_decay_is_a_share(layer_decay: float) -> None:
    with pytest.raises(ConfigError, match=rf"--model.layer_decay {layer_decay}: must be above 0"):
        optimizer(model(), layer_decay=layer_decay)


def test_weight_decay_is_not_negative() -> None:
    with pytest.raises(ConfigError, match=r"--model.weight_decay -0.1: must not be negative"):
        optimizer(model(), decay=-0.1)


def test_layers_that_timm_does_not_know_are_not_guessed() -> None:
    class Plain(nn.Linear):
        num_features = 4

    network = Model(Backbone("plain", Plain(4, 4)))
    optimizer(network)
    with pytest.raises(ConfigError, match=r"--model.layer_decay 0.5: timm does not know .* plain"):
        optimizer(network, layer_decay=0.5)
