"""Where the project itself is: on one's own machine, or unpacked in a kernel."""

from pathlib import Path

import melanoma
from melanoma.errors import ConfigError


def project_root() -> Path:
    """The folder with `src`, `scripts` and `configs`."""
    return Path(melanoma.__file__).resolve().parents[2]


def project_file(name: str, root: Path | None = None) -> Path:
    """A file of the project.

    Args:
        name: Its path in the project.
        root: Of the project; by default the one that this module lies in.

    Raises:
        ConfigError: If it is not there.
    """
    path = (root or project_root()) / name
    if not path.is_file():
        raise ConfigError(
            f"{path}: no such file. A kernel is built from a clone of the project: run the script "
            "that lies in it."
        )
    return path
