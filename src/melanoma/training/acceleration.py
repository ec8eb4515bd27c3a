"""What is fast on which device: precision, memory layout, compilation, fused optimisers.

The rule, and what it rests on, is docs/speed.md. Each choice has a switch: where the user has
made it, it stands.
"""

import shutil
from dataclasses import dataclass
from importlib.util import find_spec
from typing import Any, Literal

import lightning.pytorch as pl
import torch
from lightning.pytorch.accelerators import (
    Accelerator,
    CPUAccelerator,
    CUDAAccelerator,
    MPSAccelerator,
    XLAAccelerator,
)
from torch import nn

from melanoma.errors import ConfigError
from melanoma.images.datamodule import MelanomaDataModule
from melanoma.models.module import MelanomaModule
from melanoma.training.checkpoint_io import as_list
from melanoma.training.config import RunConfig
from melanoma.training.xla import XLAMixedPrecision

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
        channels_last: Whether tensors are kept in the layout in which convolutions are fast.
        compiled: Whether torch.compile makes the network's kernels.
        fused: Whether the optimiser updates all parameters in one kernel.
    """

    channels_last: bool
    compiled: bool
    fused: bool

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


def precision_of(options: dict[str, Any]) -> Any:
    """The precision among a Trainer's options, or by rule; None where a plugin decides it."""
    if options.get("precision") is not None or options.get("plugins") is not None:
        return options.get("precision")
    return choose_precision(device_of(options.get("accelerator")))


def with_precision(options: dict[str, Any]) -> dict[str, Any]:
    """A Trainer's options with the precision that the user or the rule has chosen."""
    precision = precision_of(options)
    if precision == "bf16-mixed" and device_of(options.get("accelerator")) == "tpu":
        plugins = [*as_list(options.get("plugins")), XLAMixedPrecision()]
        return {**options, "precision": None, "plugins": plugins}
    return {**options, "precision": precision}


def choose_precision(device: Device) -> str:
    """The precision where the user names none.

    16 bits where the device multiplies them faster: bfloat16, which needs no scaling of the loss;
    on GPUs without it, such as the T4, float16.
    """
    if device == "tpu":
        return "bf16-mixed"
    if device == "cuda":
        return "bf16-mixed" if torch.cuda.get_device_capability() >= (8, 0) else "16-mixed"
    return "bf16-mixed" if device == "cpu" and _processor_multiplies_bf16() else "32-true"


def accelerate(
    module: MelanomaModule, trainer: pl.Trainer, data: MelanomaDataModule, config: RunConfig
) -> Acceleration:
    """Choose how the steps run, and prepare the module for it; to be called before training.

    Args:
        module: Changed: its layout, its compilation, the way its optimiser will be made.
        trainer: Knows the device.
        data: Set up; how many photographs there are decides whether compiling pays.
        config: The user's switches.

    Raises:
        ConfigError: If compiling is asked for and there is no compiler.
    """
    device = device_of(trainer.accelerator)
    model = config.model
    n_images = len(data.dataset("train")) * max(1, trainer.max_epochs or 1)
    chosen = Acceleration(
        channels_last=_or_rule(model["channels_last"], device != "tpu"),
        compiled=_compiles(
            model["torch_compile"], device, trainer.precision, module.network, n_images
        ),
        fused=_or_rule(model["fused_optimizer"], device in ("cpu", "cuda") and not _clips(trainer)),
    )
    module.network.set_layout(chosen.channels_last)
    module.fused_optimizer = chosen.fused
    # Else its step count stays on the processor, and its factors are sent at every step.
    module.capturable_optimizer = device == "tpu"
    data.fill_batches = chosen.compiled or device == "tpu"
    if chosen.compiled:
        module.compile_network()
    return chosen


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


def _processor_multiplies_bf16() -> bool:
    # Older versions of torch cannot say; full precision is the safe choice then.
    capabilities: dict[str, Any] = getattr(torch.cpu, "get_capabilities", dict)()
    return any(capabilities.get(name) for name in ("amx_bf16", "avx512_bf16", "bf16"))
