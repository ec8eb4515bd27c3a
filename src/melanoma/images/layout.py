"""Where a competition folder has its photographs; nothing but the standard library is imported."""

from pathlib import Path
from typing import Literal

Split = Literal["train", "test"]

SUFFIXES = (".jpg", ".jpeg", ".png")


def image_folder(data_dir: Path, split: Split) -> Path:
    """The folder of the photographs: `jpeg/<split>`, `<split>`, or the competition folder itself."""
    for folder in (data_dir / "jpeg" / split, data_dir / split):
        if folder.is_dir():
            return folder
    return data_dir


def is_photograph(name: str) -> bool:
    """Whether a file is a photograph by its name.

    >>> is_photograph("ISIC_0015719.JPG"), is_photograph("ISIC_0015719.dcm")
    (True, False)
    """
    return name.lower().endswith(SUFFIXES)
