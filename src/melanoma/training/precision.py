"""In how many bits the steps of a training are computed. The rule is docs/speed.md."""

from typing import Any

import torch

from melanoma.errors import ConfigError
from melanoma.models.acceleration import Device, device_of
from melanoma.models.backbones import Backbone, strides_over_one_pixel
from melanoma.training.checkpoint_io import as_list
from melanoma.training.xla import XLAMixedPrecision

# Below it, networks come to a single pixel before their last stride: see `check_sixteen_bits`.
_LEAST_SIZE_PX = 32


def precision_of(options: dict[str, Any], image_size_px: int) -> Any:
    """The precision among a Trainer's options, or by rule; None where a plugin decides it."""
    if options.get("precision") is not None or options.get("plugins") is not None:
        return options.get("precision")
    return choose_precision(device_of(options.get("accelerator")), image_size_px)


def with_precision(options: dict[str, Any], image_size_px: int) -> dict[str, Any]:
    """A Trainer's options with the precision that the user or the rule has chosen."""
    precision = precision_of(options, image_size_px)
    if precision == "bf16-mixed" and device_of(options.get("accelerator")) == "tpu":
        plugins = [*as_list(options.get("plugins")), XLAMixedPrecision()]
        return {**options, "precision": None, "plugins": plugins}
    return {**options, "precision": precision}


def choose_precision(device: Device, image_size_px: int) -> str:
    """The precision where the user names none, for photographs of so many pixels a side.

    16 bits where the device multiplies them faster: bfloat16, which needs no scaling of the loss;
    on GPUs without it, such as the T4, float16.
    """
    if device == "tpu":
        return "bf16-mixed"
    if device == "cuda":
        return "bf16-mixed" if torch.cuda.get_device_capability() >= (8, 0) else "16-mixed"
    if device == "cpu" and image_size_px >= _LEAST_SIZE_PX and _processor_multiplies_bf16():
        return "bf16-mixed"
    return "32-true"


def check_sixteen_bits(options: dict[str, Any], backbone: Backbone, image_size_px: int) -> None:
    """Check that a processor computes the gradients of a network in the precision of a Trainer.

    In 16 bits, the gradient for the weights of a convolution that strides over a single pixel is not
    computed, but what was left in memory (oneDNN in torch 2.9, measured).

    Raises:
        ConfigError: If they would be wrong.
    """
    precision = str(precision_of(options, image_size_px))
    if (
        device_of(options.get("accelerator")) == "cpu"
        and precision.startswith(("16", "bf16"))
        and strides_over_one_pixel(backbone, image_size_px)
    ):
        raise ConfigError(
            f"--trainer.precision {precision}: at {image_size_px} pixels {backbone.name} comes to a "
            "single pixel before its last stride, whose gradients processors get wrong in 16 bits. "
            "Choose --trainer.precision 32-true, or a larger --data.image_size."
        )


def _processor_multiplies_bf16() -> bool:
    # Older versions of torch cannot say; full precision is the safe choice then.
    capabilities: dict[str, Any] = getattr(torch.cpu, "get_capabilities", dict)()
    return any(capabilities.get(name) for name in ("amx_bf16", "avx512_bf16", "bf16"))
