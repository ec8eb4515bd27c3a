"""Networks by name: any of timm's, or efficientnet-pytorch's, with a head of one logit."""

from dataclasses import dataclass
from typing import Literal, get_args

import timm
from efficientnet_pytorch import EfficientNet
from efficientnet_pytorch.model import VALID_MODELS
from torch import nn

from melanoma.errors import ConfigError, suggest

Weights = Literal["none", "imagenet"]

EFFICIENTNET_PYTORCH = "efficientnet_pytorch:"

# torch's own default. Networks made for long training on large data come with less (0.01 in
# efficientnet-pytorch's): after the 80 steps of a small data set their running statistics would
# still be mostly what they started from, and every validation prediction the same.
_MOMENTUM_FROM_SCRATCH = 0.1


@dataclass(frozen=True)
class PixelStatistics:
    """Mean and standard deviation per channel of the pixels (in [0, 1]) a network expects."""

    mean: tuple[float, float, float]
    std: tuple[float, float, float]


_IMAGENET_STATISTICS = PixelStatistics((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))


def check_backbone(name: str, weights: str) -> None:
    """Check that a network of that name, and such weights, exist.

    Raises:
        ConfigError: Naming the nearest names.
    """
    if weights not in get_args(Weights):
        raise ConfigError(
            f"--model.weights {weights}: not known. Choose {' or '.join(get_args(Weights))}."
        )
    if name.startswith(EFFICIENTNET_PYTORCH):
        known = [EFFICIENTNET_PYTORCH + model for model in VALID_MODELS]
    else:
        known = timm.list_models()
        name = name.partition(".")[0]  # timm's names may end with a tag: resnet18.a1_in1k
    if name not in known:
        raise ConfigError(
            f"--model.backbone {name}: neither timm nor efficientnet-pytorch has such a network."
            f"{suggest(name, known)} List timm's with python -c 'import timm; "
            f"print(timm.list_models())'; efficientnet-pytorch's are {EFFICIENTNET_PYTORCH}"
            "efficientnet-b0 to -b8."
        )


def create_backbone(
    name: str, pretrained: bool = False, dropout: float | None = None, in_channels: int = 3
) -> nn.Module:
    """Make a network that maps photographs (B, 3, S, S) to logits (B, 1).

    Args:
        name: A timm name (`resnet18`, `tf_efficientnet_b0.ns_jft_in1k`), or
            `efficientnet_pytorch:efficientnet-b0`.
        pretrained: Load the weights trained on ImageNet; needs the network or a filled cache.
        dropout: Before the head, in [0, 1); the network's own default where None.
        in_channels: Channels of the photographs.

    Raises:
        ConfigError: If there is no such network, or its weights cannot be had.
    """
    check_backbone(name, "none")
    try:
        if name.startswith(EFFICIENTNET_PYTORCH):
            return _efficientnet_pytorch(name, pretrained, dropout, in_channels)
        arguments = {} if dropout is None else {"drop_rate": dropout}
        network: nn.Module = timm.create_model(
            name, pretrained=pretrained, num_classes=1, in_chans=in_channels, **arguments
        )
        return network
    except (OSError, RuntimeError) as error:
        if not pretrained:
            raise
        raise ConfigError(
            f"--model.weights imagenet: the weights of {name} cannot be had ({error}). Go online "
            "once, so that they are kept in the cache, or train from scratch with "
            "--model.weights none."
        ) from error


def pixel_statistics(network: nn.Module) -> PixelStatistics:
    """The pixel statistics a network was made for: its own description's, else ImageNet's."""
    described = getattr(network, "pretrained_cfg", None)
    if not described:
        return _IMAGENET_STATISTICS
    return PixelStatistics(tuple(described["mean"]), tuple(described["std"]))


def load_imagenet_weights(network: nn.Module, name: str) -> None:
    """Load the ImageNet weights of a network's body; its head, of another task, stays as it is.

    Raises:
        ConfigError: If they cannot be had.
    """
    network.load_state_dict(create_backbone(name, pretrained=True).state_dict())


def set_batch_norm_momentum(network: nn.Module, momentum: float = _MOMENTUM_FROM_SCRATCH) -> None:
    """Set how much one batch moves the running statistics of every batch normalisation.

    Args:
        network: Changed in place.
        momentum: In (0, 1], torch's meaning: new = (1 - momentum) * old + momentum * batch.
    """
    for layer in network.modules():
        if isinstance(layer, nn.modules.batchnorm._BatchNorm):
            layer.momentum = momentum


def _efficientnet_pytorch(
    name: str, pretrained: bool, dropout: float | None, in_channels: int
) -> nn.Module:
    model = name.removeprefix(EFFICIENTNET_PYTORCH)
    options = {} if dropout is None else {"dropout_rate": dropout}
    make = EfficientNet.from_pretrained if pretrained else EfficientNet.from_name
    network: nn.Module = make(model, num_classes=1, in_channels=in_channels, **options)
    # The same function as its own memory-saving one, which neither scripts nor compiles.
    network.set_swish(memory_efficient=False)  # type: ignore[operator]
    return network
