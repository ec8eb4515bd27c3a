"""The weights that timm and efficientnet-pytorch publish, and whether they can be had here.

Files that were brought along come first (`attached.py`), then the libraries' caches, then the internet.
"""

import socket
import ssl
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import timm
import torch
from efficientnet_pytorch.utils import url_map
from huggingface_hub import hf_hub_url, try_to_load_from_cache
from safetensors.torch import load_file, save_file
from timm.models import get_pretrained_cfg
from torch import Tensor

from melanoma.errors import ConfigError, name_some, suggest
from melanoma.files import write_atomically
from melanoma.models.attached import VARIABLE, find_attached, weights_name
from melanoma.models.backbones import EFFICIENTNET_PYTORCH

_TIMEOUT_S = 10.0
# As timm looks for them.
_HUB_FILES = (
    "model.safetensors",
    "pytorch_model.bin",
    "open_clip_model.safetensors",
    "open_clip_pytorch_model.bin",
)


@dataclass(frozen=True)
class _Published:
    """The one file that holds a network's published weights.

    Attributes:
        file: Its name.
        own_name: A name that it has, and no other network's weights; empty for none.
        url: Where it is.
        where: The same in words.
        is_cached: Whether a library has it already.
    """

    file: str
    own_name: str
    url: str
    where: str
    is_cached: bool


def imagenet_state(name: str, image_size_px: int | None = None) -> dict[str, Tensor]:
    """The published weights of a network: brought along, from the cache or the internet.

    Args:
        name: Of the network.
        image_size_px: Which it is made for, if it has to be made for one.

    Raises:
        ConfigError: If there are none, or they cannot be had: naming the very file that is needed.
    """
    published = _published(name)
    if attached := find_attached(name, published.own_name):
        return _read_attached(name, attached, image_size_px)
    try:
        with _no_endless_waiting():
            if not published.is_cached:
                _reach(published.url)
            return _download(name, published, image_size_px)
    # The classes of the hub, of the HTTP library below it (which changes with its version), of
    # urllib and of sockets have no other base in common.
    except Exception as error:
        reason = " ".join(str(error).split())[:200]
        raise ConfigError(
            f"--model.weights imagenet: the weights of {name} cannot be had "
            f"({type(error).__name__}: {reason}). Where there is internet, get {published.where}, "
            f"bring it here and give --model.weights /path/to/{published.file}; or start from "
            "random weights with --model.weights none."
        ) from error


def save_published(name: str, folder: Path) -> Path:
    """Write the published weights of a network to where `find_attached` looks for them.

    Args:
        name: Of the network.
        folder: To write to.

    Returns:
        The file.

    Raises:
        MelanomaError: If they cannot be had or written.
    """
    # Copies: some networks hold one tensor under two names, which the format does not know.
    state = {key: tensor.clone().contiguous() for key, tensor in imagenet_state(name).items()}
    return write_atomically(folder / weights_name(name), lambda path: save_file(state, path))


def _read_attached(name: str, path: Path, image_size_px: int | None) -> dict[str, Tensor]:
    try:
        if not name.startswith(EFFICIENTNET_PYTORCH):
            return _from_timm(name, image_size_px, {"file": str(path), "custom_load": False})
        if path.suffix == ".safetensors":
            return load_file(path)
        state: dict[str, Tensor] = torch.load(path, map_location="cpu", weights_only=True)
        return state
    # What the readers raise at a damaged file, or at another network's, is of a dozen kinds.
    except Exception as error:
        reason = " ".join(str(error).split())[:200]
        raise ConfigError(
            f"{path}: found in {VARIABLE}, but it does not hold the published weights of {name} "
            f"({type(error).__name__}: {reason}). Replace that file or take it away."
        ) from error


def _from_timm(
    name: str, image_size_px: int | None, overlay: dict[str, Any] | None = None
) -> dict[str, Tensor]:
    # With the head that they were published with, timm itself insists on every tensor.
    made = timm.create_model(
        name, pretrained=True, img_size=image_size_px, pretrained_cfg_overlay=overlay
    )
    return dict(made.state_dict())


def _download(name: str, published: _Published, image_size_px: int | None) -> dict[str, Tensor]:
    if name.startswith(EFFICIENTNET_PYTORCH):
        # What efficientnet-pytorch does, except that it would open any pickle.
        state: dict[str, Tensor] = torch.hub.load_state_dict_from_url(
            published.url, map_location="cpu", progress=False, check_hash=True, weights_only=True
        )
        return state
    return _from_timm(name, image_size_px)


def _published(name: str) -> _Published:
    if name.startswith(EFFICIENTNET_PYTORCH):
        hub_id, url = None, url_map.get(name.removeprefix(EFFICIENTNET_PYTORCH))
    else:
        described: Any = get_pretrained_cfg(name)
        hub_id, url = (described.hf_hub_id, described.url) if described else (None, None)
    if hub_id:
        repository, _, revision = hub_id.partition("@")
        file = described.hf_hub_filename or _HUB_FILES[0]
        hub_url = hf_hub_url(repository, file, revision=revision or None)
        places = " or ".join(place for place in (hub_url, url) if place)
        where = f"{file} of the Hugging Face repository {repository} ({places})"
        own_name = (url or "").rpartition("/")[-1]  # the hub's are all called alike
        return _Published(file, own_name, hub_url, where, _is_cached(repository, revision))
    if url:
        file = url.rpartition("/")[-1]
        is_cached = (Path(torch.hub.get_dir()) / "checkpoints" / file).is_file()
        return _Published(file, file, url, f"{file} ({url})", is_cached)
    others = timm.list_pretrained(f"{name.partition('.')[0]}.*")
    raise ConfigError(
        f"--model.weights imagenet: there are no published weights of {name}. Start from random "
        f"weights with --model.weights none, or choose another --model.backbone"
        f"{f' ({name_some(others)})' if others else ''}."
        f"{'' if others else suggest(name, timm.list_pretrained())}"
    )


def _is_cached(repository: str, revision: str) -> bool:
    found = [
        try_to_load_from_cache(repository, file, revision=revision or None) for file in _HUB_FILES
    ]
    return any(isinstance(path, str) for path in found)


def _reach(url: str) -> None:
    """Knock once: without internet, the hub's own library tries for the better part of a minute.

    Raises:
        OSError: If nobody answers.
    """
    try:
        # From the tables of timm and efficientnet-pytorch, not from the user.
        urllib.request.urlopen(urllib.request.Request(url, method="HEAD")).close()  # noqa: S310
    except urllib.error.HTTPError:
        return  # an answer, if not a kind one; what it means the library knows
    except urllib.error.URLError as error:
        # The hub's library brings certificates of its own.
        if not isinstance(error.reason, ssl.SSLError):
            raise


@contextmanager
def _no_endless_waiting() -> Iterator[None]:
    before = socket.getdefaulttimeout()
    socket.setdefaulttimeout(_TIMEOUT_S)
    try:
        yield
    finally:
        socket.setdefaulttimeout(before)
