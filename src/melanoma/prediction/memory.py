"""How many photographs a device is given at a time, and how much memory that took."""

import resource
import sys

import torch
from torch import Tensor, nn

# Beyond these nothing is gained. Workers keep two steps each in shared memory, so that there is also
# a limit to the pixels of a step: 256 photographs at 256 pixels, 64 at 512.
_CAP_CUDA = 256
_CAP_CUDA_PIXELS = 256 * 256**2
_CAP_OTHERS = 64

# Of the memory of a device, for the photographs of a step.
_SHARE = 0.8

# Peaks measured on a processor were 1.4 to 1.6 times the largest layer's input and output, for
# tf_efficientnet_b0 at 224 pixels and resnet10t at 96: blocks also keep what they add at their end.
_PEAK_OVER_LARGEST_LAYER = 2


def bytes_per_photograph(backbone: nn.Module, image_size_px: int) -> int:
    """Estimate the memory that a photograph needs on its way through a network, in 32-bit numbers.

    It is twice the input and output of the layer where they are largest, seen by sending one black
    photograph through. Sixteen-bit precision needs less; the estimate stays, to be on the safe side.

    Args:
        backbone: In evaluation mode, on the processor.
        image_size_px: Side of the square photographs.
    """
    largest = 0

    def measure(_layer: nn.Module, inputs: tuple[object, ...], output: object) -> None:
        nonlocal largest
        tensors = [value for value in (*inputs, output) if isinstance(value, Tensor)]
        largest = max(largest, sum(tensor.nbytes for tensor in tensors))

    hooks = [layer.register_forward_hook(measure) for layer in backbone.modules()]
    with torch.inference_mode():
        backbone(torch.zeros(1, 3, image_size_px, image_size_px))
    for hook in hooks:
        hook.remove()
    return _PEAK_OVER_LARGEST_LAYER * largest


def wanted_batch_size(
    device: torch.device, configured: int, photograph_bytes: int, image_size_px: int
) -> int:
    """How many photographs a step should have: the same on every call on the same machine.

    The last bits of a prediction may depend on it, so it depends on what the machine is, not on
    what else runs there. On a GPU it is the largest power of two up to 256 (above 256 pixels: fewer,
    so that a step has no more pixels) that its whole memory has room for; elsewhere what training
    used, at most 64.
    """
    if device.type != "cuda":
        return min(configured, _CAP_OTHERS)
    wanted = _CAP_CUDA
    while wanted > 1 and wanted * image_size_px**2 > _CAP_CUDA_PIXELS:
        wanted //= 2
    _, total = torch.cuda.mem_get_info(device)
    return fitting_batch_size(wanted, total, photograph_bytes)


def fitting_batch_size(wanted: int, memory_bytes: int | None, photograph_bytes: int) -> int:
    """Halve a number of photographs until they fit into 80 % of some memory; never below 1.

    >>> fitting_batch_size(64, 1000, 20)
    32
    >>> fitting_batch_size(64, None, 20)
    64
    """
    while wanted > 1 and memory_bytes is not None:
        if wanted * photograph_bytes <= _SHARE * memory_bytes:
            break
        wanted //= 2
    return wanted


def free_bytes(device: torch.device) -> int | None:
    """Memory that is free on a device now; None where it cannot be known."""
    if device.type == "cuda":
        return torch.cuda.mem_get_info(device)[0]
    if device.type != "cpu" or not sys.platform.startswith("linux"):
        return None
    with open("/proc/meminfo", encoding="ascii") as file:
        kilobytes = {line.split(":")[0]: line.split()[1] for line in file}
    return 1024 * int(kilobytes["MemAvailable"])


def peak_memory_text(device: torch.device, n_workers: int) -> str:
    """The most memory that this process has held so far, and on a processor its largest worker."""
    if device.type == "cuda":
        return f"{_gigabytes(torch.cuda.max_memory_allocated(device))} on the GPU"
    own = _gigabytes(_resident_bytes(resource.RUSAGE_SELF))
    if n_workers == 0:
        return own
    return f"{own} and {_gigabytes(_resident_bytes(resource.RUSAGE_CHILDREN))} per worker"


def _resident_bytes(whose: int) -> int:
    # Kilobytes on Linux, bytes on macOS.
    unit = 1 if sys.platform == "darwin" else 1024
    return unit * resource.getrusage(whose).ru_maxrss


def _gigabytes(n_bytes: int) -> str:
    return f"{n_bytes / 1e9:.2f} GB"
