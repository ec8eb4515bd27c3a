"""What Kaggle's images are known to have, so that it need not be brought.

From Kaggle/docker-python at its commit of 2026-08-12 (kaggle_requirements.txt, tpu/requirements.in,
tests), and for what the GPU and CPU images take from Colab's, googlecolab/backend-info of 2026-05-08.
Kaggle installs its own list unpinned on top, so that versions are "at least about". Nothing here was
looked up on Kaggle itself: a kernel looks for itself when it starts; this only says what to bring.
"""

from typing import Literal

Image = Literal["gpu", "tpu"]
IMAGES: tuple[Image, ...] = ("gpu", "tpu")
# What each kind of machine runs.
IMAGE_OF: dict[str, Image] = {"cpu": "gpu", "t4x2": "gpu", "tpu": "tpu"}

# Versions of the image for GPUs and processors, and of the image for TPUs: empty where it is listed
# without one, None where it is not there. `lightning`, `jsonargparse` and `efficientnet-pytorch` are in
# neither.
_VERSIONS: dict[str, tuple[str | None, str | None]] = {
    "albumentations": ("2.0.8", ""),
    "matplotlib": ("3.10.0", ""),
    "numpy": ("2.0.2", ""),
    "opencv-python-headless": ("4.13.0.92", ""),
    "pandas": ("2.2.2", ""),
    "pillow": ("11.3.0", ""),
    "pytorch-lightning": ("", None),
    "rich": ("13.9.4", ""),
    "scikit-learn": ("1.6.1", ""),
    "tensorboard": ("2.20.0", "2.20.0"),
    "timm": ("1.0.26", ""),
    "torch": ("2.10.0", "2.8.0"),
    "torchmetrics": ("", None),
    "torchvision": ("0.25.0", "0.23.0"),
    "wandb": ("0.26.1", None),
}


def known_versions(image: Image) -> dict[str, str]:
    """The packages that an image is known to have, with their versions; empty for an unknown one."""
    column = IMAGES.index(image)
    listed = ((name, versions[column]) for name, versions in _VERSIONS.items())
    return {name: version for name, version in listed if version is not None}
