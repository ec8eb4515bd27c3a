"""Where training starts from: random weights, ImageNet's, or those of a file."""

import argparse
import pickle
import re
import sys
import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from safetensors.torch import load_file
from timm.models import model_entrypoint
from torch import Tensor

from melanoma.errors import ConfigError, name_some, suggest
from melanoma.identifiers import TRAINED_ON
from melanoma.models.backbones import EFFICIENTNET_PYTORCH, Backbone, create_backbone
from melanoma.models.published import imagenet_state

SUFFIXES = (".safetensors", ".pth", ".pt", ".bin", ".ckpt", ".tar")

# In a checkpoint: the images that the weights which its module began with were trained on.
PRETRAINED_ON = "pretrained_on"

State = dict[str, Tensor]

# As timm's own reader: averaged weights before those they are the average of.
_CONTAINERS = ("state_dict_ema", "model_ema", "state_dict", "model_state_dict", "model")
_PREFIXES = ("module.", "model.", "backbone.", "network.", "encoder.", "_orig_mod.")
# A counter that a batch normalisation of fixed momentum never reads.
_COUNTER = "num_batches_tracked"


@dataclass(frozen=True)
class LoadReport:
    """Which tensors of its source a network took.

    Attributes:
        source: none, imagenet, or the path of a file.
        loaded: Names in the network that were filled.
        skipped: Names in the source for which the network has no place: those of a head, mostly.
        mismatched: Names whose tensors have another shape in the source than in the network.
        missing: Names in the network that the source does not have.
    """

    source: str
    loaded: list[str]
    skipped: list[str]
    mismatched: list[str]
    missing: list[str]

    @property
    def n_wanted(self) -> int:
        """Number of the network's tensors."""
        return len(self.loaded) + len(self.mismatched) + len(self.missing)

    def as_text(self) -> str:
        """A line on what was loaded and skipped, and one each on what was left random."""
        if self.source == "none":
            return "weights: random"
        first = f"weights from {self.source}: {len(self.loaded)} of {self.n_wanted} tensors loaded"
        lines = [f"{first}; skipped {name_some(self.skipped)}" if self.skipped else first]
        if self.mismatched:
            lines.append(f"of another shape, so left random: {name_some(self.mismatched)}")
        if self.missing:
            lines.append(f"not among them, so left random: {name_some(self.missing)}")
        return "\n".join(lines)


def check_weights(weights: str, backbone: str) -> None:
    """Check before any training that weights can be had, and are those of a network.

    Args:
        weights: none, imagenet, or the path of a file.
        backbone: The network's name.

    Raises:
        ConfigError: If not.
    """
    if weights != "none":
        state = imagenet_state(backbone) if weights == "imagenet" else _read(weights)
        _fit(create_backbone(backbone), state, weights)


def load_weights(backbone: Backbone, weights: str, backbone_name: str) -> LoadReport:
    """Fill a network with weights, whatever head they were trained with.

    Args:
        backbone: Changed in place.
        weights: none (nothing is done), imagenet, or the path of a file: a state dict, a training
            checkpoint around one, or a Lightning checkpoint, of this network with any head.
        backbone_name: As given to `create_backbone`.

    Raises:
        ConfigError: If they cannot be had or read, or less than half of the network can be filled.
    """
    if weights == "none":
        return LoadReport(weights, [], [], [], [])
    if weights == "imagenet":
        state = imagenet_state(backbone_name, backbone.image_size_px)
    else:
        state = _read(weights)
    fitting, report = _fit(backbone, state, weights)
    backbone.network.load_state_dict(fitting, strict=False)
    return report


def images_of_checkpoint(weights: str) -> npt.NDArray[np.int64] | None:
    """Which images a checkpoint was trained on, those of the weights it began with included.

    Args:
        weights: The path of a file.

    Returns:
        Shape (n,), each once, sorted, as `melanoma.identifiers.hash_forms` numbers them; None where it
        does not say, or cannot be read, which `check_weights` refuses.
    """
    path = Path(weights).expanduser()
    try:
        content = {} if path.suffix == ".safetensors" else _load_tensors(path)
    except Exception:  # of a dozen kinds
        return None
    if not isinstance(content, Mapping):
        return None
    parts = [part[TRAINED_ON] for part in content.values() if _is_told(part, TRAINED_ON)]
    if not parts:
        return None
    before = [content[PRETRAINED_ON]] if _is_told(content, PRETRAINED_ON) else []
    return np.unique(torch.cat([*parts, *before]).numpy())


def _is_told(part: Any, name: str) -> bool:
    return isinstance(part, Mapping) and isinstance(part.get(name), Tensor)


def _fit(backbone: Backbone, state: State, source: str) -> tuple[State, LoadReport]:
    body = backbone.network.state_dict()
    state = _without_prefix(state, body)
    report = _compare(body, state, source)
    if report.mismatched or report.missing:
        converted = _converted(backbone, state)
        other = _compare(body, converted, source)
        if len(other.loaded) > len(report.loaded):
            state, report = converted, other
    if not report.loaded or 2 * len(report.loaded) < report.n_wanted:
        raise ConfigError(
            f"--model.weights {source}: weights of another network. Of the {report.n_wanted} "
            f"tensors of {backbone.name} they fill {len(report.loaded)}; they are called "
            f"{name_some(state)}. Give --model.backbone the network that they were trained with."
        )
    return {name: state[name] for name in body if _fits(name, body, state)}, report


def _compare(body: Mapping[str, Tensor], state: State, source: str) -> LoadReport:
    wanted = [name for name in body if not name.endswith(_COUNTER)]
    return LoadReport(
        source,
        loaded=[name for name in wanted if _fits(name, body, state)],
        skipped=[name for name in state if name not in body and not name.endswith(_COUNTER)],
        mismatched=[name for name in wanted if name in state and not _fits(name, body, state)],
        missing=[name for name in wanted if name not in state],
    )


def _fits(name: str, body: Mapping[str, Tensor], state: State) -> bool:
    return name in state and state[name].shape == body[name].shape


def _without_prefix(state: State, body: Mapping[str, Tensor]) -> State:
    """Take the wrappers' names off, one prefix for all, so that a head keeps apart from the body.

    Which one is seen by what is left: a network may itself have a part called `network`.
    """
    prefixes = {""}
    for name in state:
        prefix = ""
        while found := [p for p in _PREFIXES if name.startswith(p, len(prefix))]:
            prefix += found[0]
            prefixes.add(prefix)
    best = max(
        sorted(prefixes),
        key=lambda prefix: sum(prefix + name in state for name in body),
    )
    return {name.removeprefix(best): tensor for name, tensor in state.items()}


def _converted(backbone: Backbone, state: State) -> State:
    """Weights as timm converts them: of other authors' names, or for another size of image."""
    if backbone.name.startswith(EFFICIENTNET_PYTORCH):
        return state
    module = sys.modules[model_entrypoint(backbone.name).__module__]
    convert = getattr(module, "checkpoint_filter_fn", None)
    if convert is None:
        return state
    try:
        converted: State = convert(dict(state), backbone.network)
    # These functions look for the names they know, and fail in any way on weights of other kinds.
    except Exception:
        return state
    return converted


def _read(weights: str) -> State:
    path = Path(weights).expanduser()
    if not path.is_file():
        raise ConfigError(
            f"--model.weights {weights}: no such file. Give none, imagenet, or the path of a file "
            f"that ends with {', '.join(SUFFIXES)}.{suggest(weights, ('none', 'imagenet'))}"
        )
    if path.suffix not in SUFFIXES:
        raise ConfigError(
            f"--model.weights {weights}: not known as weights by its name. They are read from "
            f"files that end with {', '.join(SUFFIXES)}."
        )
    try:
        content: Any = load_file(path) if path.suffix == ".safetensors" else _load_tensors(path)
    # What the readers raise at a damaged file is of a dozen kinds.
    except Exception as error:
        raise _unreadable(weights, path, error) from error
    content = content if isinstance(content, Mapping) else {}
    while inner := [content[key] for key in _CONTAINERS if isinstance(content.get(key), Mapping)]:
        content = inner[0]
    state = {str(name): value for name, value in content.items() if isinstance(value, Tensor)}
    if not state:
        raise ConfigError(
            f"--model.weights {weights}: holds no weights. Save a network's state_dict() to it."
        )
    return state


def _load_tensors(path: Path) -> Any:
    with warnings.catch_warnings(), torch.serialization.safe_globals([argparse.Namespace]):
        # About the protocol of the pickle, where all that matters is whether it can be read.
        warnings.simplefilter("ignore")
        # A pickle can run any code when it is opened. This opens nothing but tensors, plain values
        # and the options that timm's own training script keeps beside them.
        return torch.load(path, map_location="cpu", weights_only=True)


def _unreadable(weights: str, path: Path, error: Exception) -> ConfigError:
    # torch writes zip archives, and pickles before its version 1.6.
    if isinstance(error, pickle.UnpicklingError) and path.read_bytes()[:1] in (b"P", b"\x80"):
        found = re.search(r"GLOBAL ([\w.]+)", str(error))
        return ConfigError(
            f"--model.weights {weights}: holds more than tensors{f' ({found[1]})' if found else ''} "
            "and is not opened, as that could run any code. Where you trust it, convert it with "
            "safetensors.torch.save_file(torch.load(path, weights_only=False)['state_dict'], "
            "'weights.safetensors') and give that file."
        )
    return ConfigError(
        f"--model.weights {weights}: cannot be read ({type(error).__name__}): it is damaged, "
        "incomplete or not a file of weights. Copy or download it again."
    )
