"""What is fast on which device: memory layout, compilation, fused optimisers.

The rule, and what it rests on, is docs/speed.md. Each choice has a switch: where the user has
made it, it stands.
"""

import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.util import find_spec
from typing import Any, Literal

import lightning.pytorch as pl
from lightning.pytorch.accelerators import (
    Accelerator,
    CPUAccelerator,
    CUDAAccelerator,
    MPSAccelerator,
    XLAAccelerator,
)
from torch import nn

from melanoma.errors import ConfigError

Device = Literal["cpu", "cuda", "mps", "tpu"]

ACCELERATORS: dict[Device, type[Accelerator]] = {
    "tpu": XLAAccelerator,
    "mps": MPSAccelerator,
    "cuda": CUDAAccelerator,
    "cpu": CPUAccelerator,
}

# Compiling takes half a minute to a minute and a half, for training and again for evaluation. So
# many photographs have to be trained on until that is won back.
_WORTH_COMPILING = {"cpu": 10_000, "cuda": 500_000}


@dataclass(frozen=True)
class Acceleration:
    """How the steps of a fold run.

    Attributes:
        device: On which.
        channels_last: Whether tensors are kept in the layout in which convolutions are fast.
        compiled: Whether torch.compile makes the network's kernels.
        fused: Whether the optimiser updates all parameters in one kernel.
    """

    device: Device
    channels_last: bool
    compiled: bool
    fused: bool

    @property
    def fills_batches(self) -> bool:
        """Whether batches have to be of one size, as each other one is compiled anew."""
        return self.compiled or self.device == "tpu"

    def __str__(self) -> str:
        """What is switched on, for a log; empty for nothing."""
        names = {"channels last": self.channels_last, "compiled": self.compiled}
        return ", ".join(name for name, is_on in (names | {"fused": self.fused}).items() if is_on)


def device_of(accelerator: str | Accelerator | None) -> Device:
    """The kind of device that Lightning's `accelerator` option comes to on this machine."""
    for device, kind in ACCELERATORS.items():
        if isinstance(accelerator, kind) or accelerator == device:
            return device
        is_any = accelerator in (None, "auto") or (accelerator == "gpu" and device != "tpu")
        if is_any and kind.is_available():
            return device
    return "cpu"


def choose_acceleration(
    switches: Mapping[str, Any], network: nn.Module, trainer: pl.Trainer, n_images: int
) -> Acceleration:
    """Choose how the steps run.

    Args:
        switches: Of the user: `channels_last`, `torch_compile`, `fused_optimizer`, each a bool, or None
            for what helps.
        network: That is trained.
        trainer: Knows the device.
        n_images: How many photographs are trained on in all epochs, which decides whether compiling
            pays; 0 where it is not known.

    Raises:
        ConfigError: If compiling is asked for and there is no compiler.
    """
    device = device_of(trainer.accelerator)
    return Acceleration(
        device=device,
        channels_last=_or_rule(switches["channels_last"], device != "tpu"),
        compiled=_compiles(switches["torch_compile"], device, trainer.precision, network, n_images),
        # Also where it was asked for: the alternative is that Lightning refuses to train.
        fused=_or_rule(switches["fused_optimizer"], device in ("cpu", "cuda"))
        and not _clips(trainer),
    )


def _or_rule(switch: bool | None, rule: bool) -> bool:
    return rule if switch is None else switch


def _compiles(
    switch: bool | None, device: Device, precision: str, network: nn.Module, n_images: int
) -> bool:
    if switch and not _has_compiler(device):
        raise ConfigError(
            "--model.torch_compile true: torch.compile needs a C++ compiler (g++ or clang), on a "
            "GPU also triton, and none was found. Install one, or leave the option out."
        )
    if switch is not None:
        return switch
    pays = n_images >= _WORTH_COMPILING.get(device, n_images + 1)
    # On a processor only networks of many small operations gain, and nothing does in bfloat16.
    gains = device == "cuda" or (precision.startswith("32") and _has_depthwise(network))
    return pays and gains and _has_compiler(device)


def _has_compiler(device: Device) -> bool:
    compiler = any(shutil.which(name) for name in ("g++", "c++", "clang++"))
    return compiler and (device != "cuda" or find_spec("triton") is not None)


def _has_depthwise(network: nn.Module) -> bool:
    return any(isinstance(layer, nn.Conv2d) and layer.groups > 1 for layer in network.modules())


def _clips(trainer: pl.Trainer) -> bool:
    # Lightning refuses it: a fused optimiser unscales the gradients after they are clipped.
    return "mixed" in str(trainer.precision) and bool(trainer.gradient_clip_val)
