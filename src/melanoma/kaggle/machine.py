"""What machine a kernel has been given, found without torch, against what it was to have."""

import os
import re
import shutil
from dataclasses import dataclass
from pathlib import Path

from melanoma.children import run_child
from melanoma.errors import ConfigError
from melanoma.kaggle.job import Accelerator

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
