"""In how many bits the steps of a training are computed. The rule is docs/speed.md."""

from typing import Any

import torch

from melanoma.models.acceleration import Device, device_of
from melanoma.training.checkpoint_io import as_list
from melanoma.training.xla import XLAMixedPrecision


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


def _processor_multiplies_bf16() -> bool:
    # Older versions of torch cannot say; full precision is the safe choice then.
    capabilities: dict[str, Any] = getattr(torch.cpu, "get_capabilities", dict)()
    return any(capabilities.get(name) for name in ("amx_bf16", "avx512_bf16", "bf16"))
