"""Published weights that were brought along, in folders that `MELANOMA_WEIGHTS` names.

Only file names are known here: `published.py` reads them. No torch is needed to know a name.
"""

import os
from pathlib import Path

# Folders, separated as in PATH.
VARIABLE = "MELANOMA_WEIGHTS"
# As they are looked for, and the first is written.
_SUFFIXES = (".safetensors", ".pth", ".bin")


def weights_name(backbone: str) -> str:
    """The file that holds the published weights of a network, where it was brought along.

    >>> weights_name("efficientnet_pytorch:efficientnet-b0")
    'efficientnet_pytorch_efficientnet-b0.safetensors'
    """
    return _stem(backbone) + _SUFFIXES[0]


def find_attached(backbone: str, published_file: str = "") -> Path | None:
    """The first file in the folders of `MELANOMA_WEIGHTS` that holds a network's published weights.

    Args:
        backbone: Name of the network.
        published_file: What its authors call it, if that name is of this network alone.
    """
    names = [_stem(backbone) + suffix for suffix in _SUFFIXES]
    names += [published_file] if published_file else []
    folders = [folder for folder in os.environ.get(VARIABLE, "").split(os.pathsep) if folder]
    paths = (Path(folder) / name for folder in folders for name in names)
    return next((path for path in paths if path.is_file()), None)


def _stem(backbone: str) -> str:
    return backbone.replace(":", "_").replace("/", "_")
