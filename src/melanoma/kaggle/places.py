"""Where a kernel reads and writes: Kaggle's folders, and scratch that is no part of its output."""

import os
import shutil
import tempfile
from dataclasses import dataclass
from pathlib import Path

from melanoma.errors import ConfigError, name_bytes

# Another root than /kaggle: to rehearse a kernel on one's own machine, and in tests.
ROOT_VARIABLE = "MELANOMA_KAGGLE_ROOT"
# What a kernel cannot do without: a network's first checkpoints, or packages.
_LEAST_FREE = 200_000_000


@dataclass(frozen=True)
class Places:
    """The folders of a kernel.

    Attributes:
        input: What is attached; read-only.
        working: What is kept as the output of the kernel.
        scratch: For everything else; the same path in every session.
    """

    input: Path
    working: Path
    scratch: Path

    @property
    def packages(self) -> Path:
        """Where packages are installed."""
        return self.scratch / "packages"

    @property
    def weights(self) -> Path:
        """Where files of weights are put: a path that is part of a run's settings."""
        return self.scratch / "weights"

    def check_space(self) -> None:
        """Check that there is some room.

        Raises:
            ConfigError: Naming the folder whose disk is full.
        """
        for folder in (self.working, self.scratch):
            free = shutil.disk_usage(folder).free
            if free < _LEAST_FREE:
                raise ConfigError(
                    f"{folder}: {name_bytes(free)} are free, {name_bytes(_LEAST_FREE)} are the least "
                    "to begin with. Start a fresh session, or remove what fills it."
                )

    def as_text(self) -> str:
        """How much is free, on a line."""
        free = (
            f"{name_bytes(shutil.disk_usage(folder).free)} in {folder}"
            for folder in (self.working, self.scratch)
        )
        return f"free: {', '.join(free)}"


def find_places() -> Places:
    """The folders of the kernel that this process runs in; the scratch folder is made.

    Raises:
        ConfigError: If this is no kernel.
    """
    root = Path(os.environ.get(ROOT_VARIABLE, "/kaggle"))
    places = Places(
        root / "input", root / "working", Path(tempfile.gettempdir()) / "melanoma_kernel"
    )
    if not places.working.is_dir():
        raise ConfigError(
            f"{places.working}: no such folder, so this is no Kaggle kernel. Push it with "
            f"scripts/push_kernel.py; to rehearse it here, make a folder with input/ and working/ "
            f"and name it in {ROOT_VARIABLE}."
        )
    places.scratch.mkdir(parents=True, exist_ok=True)
    return places
