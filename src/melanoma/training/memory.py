"""Memory that is not enough: what to change."""

from collections.abc import Iterator
from contextlib import contextmanager

import torch

from melanoma.errors import RunError
from melanoma.training.config import RunConfig


@contextmanager
def memory_explained(config: RunConfig) -> Iterator[None]:
    """Turn running out of memory into a message that says which setting helps.

    Raises:
        RunError: Instead of what torch raises.
    """
    try:
        yield
    except (RuntimeError, MemoryError) as error:
        if not _is_out_of_memory(error):
            raise
        size = config.data["batch_size"]
        accumulated = config.trainer.get("accumulate_grad_batches") or 1
        halves = (
            f"--data.batch_size {size // 2} --trainer.accumulate_grad_batches {2 * accumulated}"
        )
        same = f"{halves} keeps the steps as they are. " if size > 1 else ""
        raise RunError(
            f"a batch of {size} photographs of {config.data['image_size']} pixels does not fit into "
            f"the memory of the device. {same}--trainer.precision bf16-mixed (16-mixed on older GPUs) "
            "needs about half; --find-batch-size tells what fits."
        ) from error


def _is_out_of_memory(error: BaseException) -> bool:
    kinds = (torch.OutOfMemoryError, MemoryError)
    words = ("can't allocate memory", "RESOURCE_EXHAUSTED")  # of a processor, of a TPU
    return isinstance(error, kinds) or any(word in str(error) for word in words)
