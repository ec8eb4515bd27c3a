"""PyTorch/XLA traces what is computed, and compiles it when it is asked for the result."""

import torch


def run_traced(device: torch.device) -> None:
    """On an XLA device, end the program that is traced and let it run; nothing waits for it.

    What comes next is a program of its own, which is compiled once however often it recurs: the same
    network on another view, with other weights, at another step. Elsewhere there is nothing to do.
    """
    if device.type == "xla":
        import torch_xla  # not where there are no TPUs

        torch_xla.sync()
