"""Memory that is not enough: what to change, and how large a batch may be."""

from collections.abc import Iterator
from contextlib import contextmanager

import lightning.pytorch as pl
import torch
from lightning.pytorch.tuner.tuning import Tuner

from melanoma.errors import ConfigError, RunError
from melanoma.training.acceleration import device_of, precision_of
from melanoma.training.config import RunConfig
from melanoma.training.noise import silence_known_noise

_MOST_TRIALS = 12


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


def find_batch_size(config: RunConfig, fold: int) -> int:
    """The largest power of two that fits into the memory of a GPU, tried by Lightning's Tuner.

    Nothing of the run is changed.

    Raises:
        MelanomaError: If tables, photographs or settings cannot be used, or there is no GPU.
    """
    if device_of(config.trainer.get("accelerator")) != "cuda":
        raise ConfigError(
            "--find_batch_size: needs a GPU. A processor's memory is shared with everything else "
            "that runs, and larger batches than 32 to 64 gain nothing there."
        )
    silence_known_noise()
    pl.seed_everything(config.seed, workers=True, verbose=False)
    data = config.data_module(fold)
    data.prepare_data()
    data.setup()
    module = config.module(data)
    config.run_dir.mkdir(parents=True, exist_ok=True)
    options = {**config.trainer, "precision": precision_of(config.trainer), "logger": False}
    options |= {"enable_checkpointing": False, "default_root_dir": str(config.run_dir)}
    tuner = Tuner(pl.Trainer(**options))
    found = tuner.scale_batch_size(module, datamodule=data, max_trials=_MOST_TRIALS)
    return int(found or data.batch_size)


def _is_out_of_memory(error: BaseException) -> bool:
    kinds = (torch.OutOfMemoryError, MemoryError)
    return isinstance(error, kinds) or "can't allocate memory" in str(error)
