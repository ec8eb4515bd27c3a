"""Optimisers by name: any of timm's, with a rate and a decay for each kind of parameter."""

from inspect import signature
from typing import Any

import torch
from timm.optim import (
    create_optimizer_v2,
    get_optimizer_class,
    list_optimizers,
    param_groups_layer_decay,
    param_groups_weight_decay,
)
from torch import nn

from melanoma.errors import ConfigError, suggest
from melanoma.models.backbones import Backbone

Groups = list[dict[str, Any]]

# Of other packages (apex, bitsandbytes), or with a step that needs the gradient of the gradient.
_LEFT_OUT = ["fused*", "bnb*", "adahessian"]


def create_optimizer(
    module: nn.Module,
    backbone: Backbone,
    name: str,
    learning_rate: float,
    weight_decay: float,
    layer_decay: float | None,
    fused: bool = False,
    capturable: bool = False,
) -> torch.optim.Optimizer:
    """Make an optimiser of all parameters that are to be learnt, each in one group.

    Biases, the scales of norms and what a network says of itself (position embeddings) are not
    decayed. The rate of each group is its own `lr`, so that torch's schedules keep their ratios.

    Args:
        module: All that is trained.
        backbone: The part of it that has layers.
        name: One of timm's: adamw, adam, sgd (with Nesterov momentum), lamb, nadamw, lion ...
        learning_rate: Of the head and of all else outside of the backbone.
        weight_decay: At least 0.
        layer_decay: In (0, 1]: the rate of each of the backbone's layers, as timm counts them, is
            that of the layer above times this. None for the same rate everywhere. Bao et al.,
            "BEiT", ICLR 2022.
        fused: Whether all parameters are updated in one kernel, where the optimiser has one.
        capturable: Whether the optimiser keeps the number of its steps on the device, where it can.

    Raises:
        ConfigError: If there is no such optimiser, or a setting is out of its range.
    """
    known = list_optimizers(exclude_filters=_LEFT_OUT)
    if name not in known:
        raise ConfigError(
            f"--model.optimizer {name}: timm has no such optimiser that works here."
            f"{suggest(name.lower(), known)} List them with python -c 'import timm.optim; "
            "print(timm.optim.list_optimizers())'."
        )
    if weight_decay < 0:
        raise ConfigError(f"--model.weight_decay {weight_decay}: must not be negative.")
    if layer_decay is not None and not 0 < layer_decay <= 1:
        raise ConfigError(f"--model.layer_decay {layer_decay}: must be above 0 and at most 1.")
    groups = _backbone_groups(backbone, weight_decay, layer_decay)
    inside = {id(parameter) for parameter in backbone.network.parameters()}
    others = nn.ParameterList(p for p in module.parameters() if id(p) not in inside)
    groups += param_groups_weight_decay(others, weight_decay)
    for group in groups:
        group["lr"] = learning_rate * group.pop("lr_scale", 1.0)
    optimizer: torch.optim.Optimizer = create_optimizer_v2(
        groups,
        opt=name,
        lr=learning_rate,
        weight_decay=weight_decay,
        **_switches(name, fused=fused, capturable=capturable),
    )
    return optimizer


def _switches(name: str, **wanted: bool) -> dict[str, bool]:
    known = signature(get_optimizer_class(name, bind_defaults=False)).parameters
    return {switch: True for switch, is_on in wanted.items() if is_on and switch in known}


def _backbone_groups(backbone: Backbone, weight_decay: float, layer_decay: float | None) -> Groups:
    network: Any = backbone.network
    undecayed: set[str] = getattr(network, "no_weight_decay", set)()
    groups: Groups
    if layer_decay is None:
        groups = param_groups_weight_decay(network, weight_decay, no_weight_decay_list=undecayed)
        return groups
    if not hasattr(network, "group_matcher"):
        raise ConfigError(
            f"--model.layer_decay {layer_decay}: timm does not know the layers of {backbone.name}. "
            "Leave the option out."
        )
    groups = param_groups_layer_decay(
        network, weight_decay, no_weight_decay_list=undecayed, layer_decay=layer_decay
    )
    return groups
