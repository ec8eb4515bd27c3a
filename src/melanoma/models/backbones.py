"""Networks without a head, by name: any of timm's, or efficientnet-pytorch's."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any, Literal, get_args

import timm
import torch
from efficientnet_pytorch import EfficientNet
from efficientnet_pytorch.model import VALID_MODELS
from timm.layers import PatchEmbed
from timm.models import get_pretrained_cfg
from torch import Tensor, nn

from melanoma.errors import ConfigError, suggest
from melanoma.models.pooling import GeneralisedMean

Pooling = Literal["default", "avg", "max", "gem"]

EFFICIENTNET_PYTORCH = "efficientnet_pytorch:"

# torch's own default. Networks made for long training on large data come with less (0.01 in
# efficientnet-pytorch's): after the 80 steps of a small data set their running statistics would
# still be mostly what they started from, and every validation prediction the same.
_MOMENTUM_FROM_SCRATCH = 0.1

# What a network raises that is asked for what it was not made for.
_REFUSALS = (AssertionError, RuntimeError, TypeError, ValueError)


@dataclass(frozen=True)
class PixelStatistics:
    """Mean and standard deviation per channel of the pixels (in [0, 1]) a network expects."""

    mean: tuple[float, float, float]
    std: tuple[float, float, float]


_IMAGENET_STATISTICS = PixelStatistics((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))


class Backbone(nn.Module):
    """A network that maps photographs to one pooled feature vector each.

    Args:
        name: As the user gives it.
        network: Without a head: timm's, or one that has its methods.
        pool: Instead of the network's own pooling: maps to maps of one pixel.
        image_size_px: Which the network was made for, if it has to be made for one.

    Attributes:
        n_features: Length of the feature vector.
        statistics: Of the pixels the network was made for: its own description's, else ImageNet's.
    """

    def __init__(
        self,
        name: str,
        network: nn.Module,
        pool: nn.Module | None = None,
        image_size_px: int | None = None,
    ) -> None:
        super().__init__()
        self.name = name
        self.network = network
        self.pool = pool
        self.image_size_px = image_size_px
        self.n_features = _n_features(network)
        self.statistics = _IMAGENET_STATISTICS
        described: Any = getattr(network, "pretrained_cfg", None)
        if described:
            self.statistics = PixelStatistics(tuple(described["mean"]), tuple(described["std"]))

    def forward(self, pixels: Tensor) -> Tensor:
        """Features (B, n_features) of normalised pixels (B, 3, S, S)."""
        features: Tensor
        if self.pool is None:
            features = self.network(pixels)
        else:
            maps = self.pool(self.network.forward_features(pixels))  # type: ignore[operator]
            # To pool one pixel again changes nothing; what else the network does after its
            # pooling (norms, a layer to a wider vector) stays.
            features = self.network.forward_head(maps)  # type: ignore[operator]
        return features


class _EfficientNet(EfficientNet):  # type: ignore[misc]
    """efficientnet-pytorch's, with the methods that timm's networks have."""

    @property
    def num_features(self) -> int:
        return int(self._bn1.num_features)

    def forward_features(self, pixels: Tensor) -> Tensor:
        maps: Tensor = self.extract_features(pixels)
        return maps

    def forward_head(self, maps: Tensor) -> Tensor:
        pooled: Tensor = self._avg_pooling(maps)
        return pooled.flatten(1)

    def group_matcher(self, coarse: bool = False) -> dict[str, str]:
        return {"stem": r"^_conv_stem|^_bn0", "blocks": r"^_blocks\.(\d+)"}


def check_backbone(name: str) -> None:
    """Check that a network of that name exists.

    Raises:
        ConfigError: Naming the nearest names.
    """
    architecture, dot, _ = name.partition(".")
    if name.startswith(EFFICIENTNET_PYTORCH):
        known = [EFFICIENTNET_PYTORCH + model for model in VALID_MODELS]
    elif dot and architecture in timm.list_models():
        # The tag says how the published weights were trained: resnet18.a1_in1k
        known = timm.list_models(f"{architecture}.*", include_tags=True)
    else:
        known = timm.list_models()
    if name not in known:
        raise ConfigError(
            f"--model.backbone {name}: neither timm nor efficientnet-pytorch has such a network."
            f"{suggest(name, known)} List timm's with python -c 'import timm; "
            f"print(timm.list_models())'; efficientnet-pytorch's are {EFFICIENTNET_PYTORCH}"
            "efficientnet-b0 to -b8."
        )


def create_backbone(
    name: str,
    drop_path: float | None = None,
    pooling: Pooling = "default",
    image_size_px: int | None = None,
) -> Backbone:
    """Make a network, with random weights, that maps photographs to pooled features.

    Args:
        name: A timm name (`resnet18`, `tf_efficientnet_b0.ns_jft_in1k`), or
            `efficientnet_pytorch:efficientnet-b0`.
        drop_path: Stochastic depth, in [0, 1); the network's own default where None.
        pooling: Of the last features: the network's own, their mean, maximum or generalised mean.
        image_size_px: Of the photographs. A network that takes one size only (most transformers)
            is made for it; where None, for that of its published weights.

    Raises:
        ConfigError: If there is no such network, or it does not take one of these options.
    """
    check_backbone(name)
    if drop_path is not None and not 0 <= drop_path < 1:
        raise ConfigError(f"--model.drop_path {drop_path}: must be at least 0 and below 1.")
    if pooling not in get_args(Pooling):
        known = ", ".join(get_args(Pooling))
        raise ConfigError(f"--model.pooling {pooling}: not known. Choose one of {known}.")
    if not _takes_one_size(name):
        image_size_px = None
    elif image_size_px is not None and not _can_be_made(name, image_size_px):
        made = _create_network(name)
        raise _size_error(name, made, image_size_px, partial(_can_be_made, name))
    if pooling in ("avg", "max"):
        network = _create_pooled(name, drop_path, image_size_px, pooling)
        return Backbone(name, network, None, image_size_px)
    network = _create_network(name, drop_path, image_size_px)
    pool = _generalised_mean(name, network, image_size_px) if pooling == "gem" else None
    return Backbone(name, network, pool, image_size_px)


def check_image_size(backbone: Backbone, size_px: int) -> None:
    """Check that a network takes photographs of a size, by showing it one.

    Raises:
        ConfigError: Naming what the network was made for, and the nearest sizes that it takes.
    """
    name, network = backbone.name, backbone.network
    if not _runs(network, size_px):
        can_be_remade = backbone.image_size_px is not None
        takes = partial(_can_be_made, name) if can_be_remade else partial(_runs, network)
        raise _size_error(name, network, size_px, takes)


def check_batch_of_one(backbone: Backbone, size_px: int) -> None:
    """Check that a network can be trained on one photograph at a time, by showing it one.

    Args:
        backbone: Its running statistics are changed.
        size_px: Side of the photograph.

    Raises:
        ConfigError: If its batch normalisation would have a single value of a channel to normalise.
    """
    network = backbone.network.train()
    try:
        with torch.no_grad():
            network(torch.zeros(1, 3, size_px, size_px))
    except ValueError as error:
        raise ConfigError(
            f"--data.batch_size 1: {backbone.name} normalises over batches, and of one photograph of "
            f"{size_px} pixels one value of a channel is left ({error}). Give at least 2."
        ) from error


def strides_over_one_pixel(backbone: Backbone, size_px: int) -> bool:
    """Whether, of photographs of a size, a single pixel is left where a convolution still strides."""
    found = []

    def look(layer: nn.Module, inputs: tuple[Tensor, ...]) -> None:
        if inputs[0].shape[-2:].numel() == 1:
            found.append(layer)

    hooks = [
        layer.register_forward_pre_hook(look)
        for layer in backbone.network.modules()
        if isinstance(layer, nn.Conv2d) and max(layer.stride) > 1 and max(layer.kernel_size) > 1
    ]
    _runs(backbone.network, size_px)
    for hook in hooks:
        hook.remove()
    return bool(found)


def set_batch_norm_momentum(network: nn.Module, momentum: float = _MOMENTUM_FROM_SCRATCH) -> None:
    """Set how much one batch moves the running statistics of every batch normalisation.

    Args:
        network: Changed in place.
        momentum: In (0, 1], torch's meaning: new = (1 - momentum) * old + momentum * batch.
    """
    for layer in network.modules():
        if isinstance(layer, nn.modules.batchnorm._BatchNorm):
            layer.momentum = momentum


def _create_network(
    name: str,
    drop_path: float | None = None,
    image_size_px: int | None = None,
    pooling: Pooling | None = None,
) -> nn.Module:
    if name.startswith(EFFICIENTNET_PYTORCH):
        return _create_efficientnet(name.removeprefix(EFFICIENTNET_PYTORCH), drop_path, pooling)
    # timm leaves out what is None.
    options = {"drop_path_rate": drop_path, "img_size": image_size_px, "global_pool": pooling}
    try:
        network: nn.Module = timm.create_model(name, num_classes=0, **options)
    except TypeError as error:
        if "drop_path_rate" not in str(error):
            raise
        raise ConfigError(
            f"--model.drop_path {drop_path}: {name} has no stochastic depth. Leave the option out."
        ) from error
    return network


def _create_efficientnet(model: str, drop_path: float | None, pooling: Pooling | None) -> nn.Module:
    options = {} if drop_path is None else {"drop_connect_rate": drop_path}
    network: nn.Module = _EfficientNet.from_name(model, dropout_rate=0.0, **options)
    # The same function as its own memory-saving one, which neither scripts nor compiles.
    network.set_swish(memory_efficient=False)  # type: ignore[operator]
    network._fc = nn.Identity()
    if pooling == "max":
        network._avg_pooling = nn.AdaptiveMaxPool2d(1)
    return network


def _create_pooled(
    name: str, drop_path: float | None, image_size_px: int | None, pooling: Pooling
) -> nn.Module:
    refusal = f"--model.pooling {pooling}: {name} does not pool so. Choose default."
    try:
        network = _create_network(name, drop_path, image_size_px, pooling)
        features = _try(network, image_size_px or _own_size_px(network))
    except _REFUSALS as error:
        raise ConfigError(refusal) from error
    # Some let pass what they do not know, and then do not pool at all.
    if not isinstance(features, Tensor) or features.shape != (1, _n_features(network)):
        raise ConfigError(refusal)
    return network


def _generalised_mean(name: str, network: Any, image_size_px: int | None) -> GeneralisedMean:
    size_px = image_size_px or _own_size_px(network)
    maps = _try(network, size_px, network.forward_features)
    if not isinstance(maps, Tensor) or maps.ndim != 4:
        raise ConfigError(
            f"--model.pooling gem: needs a convolutional network, whose features are a map; {name} "
            "gives tokens. Choose default, avg or max."
        )
    return GeneralisedMean((2, 3) if maps.shape[1] == network.num_features else (1, 2))


def _n_features(network: Any) -> int:
    # Some networks have a layer after their pooling: then num_features is the length before it.
    return int(getattr(network, "head_hidden_size", None) or network.num_features)


def _own_size_px(network: Any) -> int:
    described = getattr(network, "pretrained_cfg", None) or {}
    return int(described.get("input_size", (3, 224, 224))[-1])


def _takes_one_size(name: str) -> bool:
    described = None if name.startswith(EFFICIENTNET_PYTORCH) else get_pretrained_cfg(name)
    return described is not None and bool(described.fixed_input_size)


@torch.no_grad()
def _try(
    network: nn.Module, size_px: int, function: Callable[[Tensor], Tensor] | None = None
) -> Tensor:
    """What a network, or a function of it, gives for one black photograph."""
    was_training = network.training
    network.eval()
    try:
        return (function or network)(torch.zeros(1, 3, size_px, size_px))
    finally:
        network.train(was_training)


def _runs(network: nn.Module, size_px: int) -> bool:
    try:
        _try(network, size_px)
    except _REFUSALS:
        return False
    return True


def _can_be_made(name: str, size_px: int) -> bool:
    """Whether a network that takes one size only can be made for this one."""
    try:
        network = _create_network(name, image_size_px=size_px)
    except _REFUSALS:
        return False
    # Of a size that is no multiple of their patch, some would leave out the margin unasked.
    patches = [layer.patch_size[0] for layer in network.modules() if isinstance(layer, PatchEmbed)]
    return all(size_px % patch == 0 for patch in patches) and _runs(network, size_px)


def _size_error(name: str, network: Any, size_px: int, takes: Callable[[int], bool]) -> ConfigError:
    own_px = _own_size_px(network)
    steps = [layer["reduction"] for layer in getattr(network, "feature_info", None) or []]
    step = max(steps, default=32)
    around = ((size_px - 1) // step * step, (size_px // step + 1) * step)
    nearest = [px for px in around if px > 0 and takes(px)]
    wants = f" and works in steps of {step}" if len(nearest) == sum(px > 0 for px in around) else ""
    return ConfigError(
        f"--data.image_size {size_px}: {name} does not take photographs of that size. It was made "
        f"for {own_px} pixels{wants}: choose {' or '.join(map(str, nearest or [own_px]))}."
    )
