"""The machine of a kernel: what it has been given against what it was to have, and its folders."""

import os
import re
import shutil
import tempfile
from dataclasses import dataclass
from pathlib import Path

from melanoma.children import run_child
from melanoma.errors import ConfigError, name_bytes
from melanoma.kaggle.job import Accelerator

# Another root than /kaggle: to rehearse a kernel on one's own machine, and in tests.
ROOT_VARIABLE = "MELANOMA_KAGGLE_ROOT"
# What a kernel cannot do without: a network's first checkpoints, or packages.
_LEAST_FREE = 200_000_000
_DEVICES = Path("/dev")
# The image's torch has no code for it: it is there, and the first operation fails
# (Kaggle/docker-python issue 1546).
_UNUSABLE = "P100"
# As the settings of a kernel on Kaggle's site name them, under "Accelerator".
_ON_THE_SITE = {"cpu": "None", "t4x2": "GPU T4 x2", "tpu": "TPU VM v5e-8"}


@dataclass(frozen=True)
class Machine:
    """What a kernel runs on.

    Attributes:
        gpus: Their names.
        is_tpu: Whether it has a TPU.
    """

    gpus: tuple[str, ...]
    is_tpu: bool

    def as_text(self) -> str:
        """For messages: `2 GPUs (Tesla T4, Tesla T4)`.

        >>> Machine(("Tesla T4",), False).as_text(), Machine((), False).as_text()
        ('1 GPU (Tesla T4)', 'neither GPU nor TPU')
        """
        if self.is_tpu:
            return "a TPU"
        count = len(self.gpus)
        named = f"{count} GPU{'s' if count > 1 else ''} ({', '.join(self.gpus)})"
        return named if count else "neither GPU nor TPU"


def look_at_machine(devices: Path = _DEVICES) -> Machine:
    """Find the GPUs and the TPU of this machine.

    Args:
        devices: Where the system has its devices.
    """
    # ISTPUVM is set in Kaggle's TPU image (Dockerfile of docker-python); a machine that offers a
    # TPU to its guests has numbered groups in vfio.
    patterns = ("accel[0-9]*", "vfio/[0-9]*")
    is_tpu = os.environ.get("ISTPUVM") == "1" or any(
        True for pattern in patterns for _ in devices.glob(pattern)
    )
    return Machine(_gpus(), is_tpu)


def check_machine(wanted: Accelerator, found: Machine) -> None:
    """Check that a kernel has the machine it was pushed for.

    Raises:
        ConfigError: If not: what it has instead, and what to choose.
    """
    if wanted.kind == "cpu":
        return
    if wanted.kind == "tpu":
        is_right = found.is_tpu
    else:
        usable = [gpu for gpu in found.gpus if _UNUSABLE not in gpu]
        is_right = len(usable) >= wanted.n_devices
    if is_right:
        return
    raise ConfigError(
        f"this kernel is to run on {_ON_THE_SITE[wanted.name]}, but has {found.as_text()}. Push it "
        f"with --accelerator {wanted.name}, or choose {_ON_THE_SITE[wanted.name]} as accelerator in "
        "its settings on Kaggle; where that cannot be chosen, the week's hours may be used up "
        "(`kaggle quota`)."
    )


def _gpus() -> tuple[str, ...]:
    program = shutil.which("nvidia-smi")
    if program is None:
        return ()
    listed = run_child([program, "-L"], capture=True)
    # GPU 0: Tesla T4 (UUID: GPU-...)
    return tuple(re.findall(r"^GPU \d+: (.*?)(?: \(UUID.*)?$", listed.stdout, re.MULTILINE))


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
