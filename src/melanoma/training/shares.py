"""Dividing a machine between folds that are trained side by side."""

import os

import torch
from lightning.pytorch.accelerators import MPSAccelerator, XLAAccelerator

from melanoma.errors import ConfigError
from melanoma.images.workers import available_cores
from melanoma.models.acceleration import device_of
from melanoma.training.config import RunConfig
from melanoma.training.processes import WHOLE_MACHINE, Share

# Each with half of the cores: 1.27 times as fast as one after the other on two cores.
_FOLDS_ON_A_PROCESSOR = 2

THREADS = "OMP_NUM_THREADS"
_GPUS = "CUDA_VISIBLE_DEVICES"


def divide_machine(config: RunConfig, n_asked: int = 1) -> list[Share]:
    """Equal shares of the processor cores and GPUs, one for each fold that is trained at a time.

    That is `config.parallel_folds`; where it is not given, two on a processor with two cores or more
    (docs/benchmarks.md) if as many folds are asked for, else one.

    They are equal also where something is left over, and stay so when fewer folds are left to
    train: what a fold comes to depends on the number of its devices, and its last bits on the
    number of its threads, so neither depends on when it was started.

    Raises:
        ConfigError: If there are fewer cores or GPUs than shares, or of another kind.
    """
    n_folds = config.parallel_folds or _best_on(config, n_asked)
    if n_folds == 1:
        return [WHOLE_MACHINE]
    on_gpus, n_devices = _on_gpus(config), _n_devices(config)
    cores = _divide([str(core) for core in sorted(available_cores())], n_folds, "processor core")
    if not on_gpus:
        # Threads wait for each other by spinning: with more of them than cores, tenfold slower.
        return [_share(of_fold, len(of_fold) // (n_devices or 1)) for of_fold in cores]
    gpus = _divide(visible_gpus(), n_folds, "GPU")
    if n_devices and n_devices > len(gpus[0]):
        raise ConfigError(
            f"--parallel_folds {n_folds} with --trainer.devices {n_devices}: each fold has "
            f"{len(gpus[0])} of the {len(visible_gpus())} GPUs. Lower one of the two."
        )
    return [_share(c, len(c), {_GPUS: ",".join(g)}) for c, g in zip(cores, gpus)]


def visible_gpus() -> list[str]:
    """The GPUs that this process may use, as CUDA_VISIBLE_DEVICES names them."""
    count = torch.cuda.device_count()
    named = [name.strip() for name in os.environ.get(_GPUS, "").split(",") if name.strip()]
    return (named or [str(number) for number in range(count)])[:count]


def n_threads_within(n_cores: int) -> int:
    """How many threads a process has on so many cores: one for each, at least one."""
    asked = os.environ.get(THREADS, "")  # by the user, who may have reasons for fewer
    return max(1, min(n_cores, int(asked)) if asked.isdigit() else n_cores)


def _best_on(config: RunConfig, n_asked: int) -> int:
    is_processor = device_of(config.trainer["accelerator"]) == "cpu"
    several_devices = str(config.trainer["devices"]) not in ("auto", "1")
    if not is_processor or several_devices or len(available_cores()) < _FOLDS_ON_A_PROCESSOR:
        return 1
    return min(_FOLDS_ON_A_PROCESSOR, n_asked)


def _on_gpus(config: RunConfig) -> bool:
    accelerator = config.trainer["accelerator"]
    if accelerator in ("auto", "gpu", "cuda") and torch.cuda.is_available():
        return True
    others = (MPSAccelerator, XLAAccelerator)
    if accelerator == "cpu" or (
        accelerator == "auto" and not any(kind.is_available() for kind in others)
    ):
        return False
    raise ConfigError(
        f"--parallel_folds {config.parallel_folds} with --trainer.accelerator {accelerator}: folds "
        "run side by side on processors and CUDA GPUs alone. Leave it at 1."
    )


def _n_devices(config: RunConfig) -> int | None:
    """How many devices each fold asks for; None for as many as it sees."""
    devices = str(config.trainer["devices"])
    if devices in ("auto", "-1"):
        return None
    if not devices.isdigit():
        raise ConfigError(
            f"--parallel_folds {config.parallel_folds} with --trainer.devices {devices}: the folds "
            f"would all use these. Name them in {_GPUS} instead, and give --trainer.devices auto."
        )
    return int(devices)


def _divide(whole: list[str], n_parts: int, kind: str) -> list[list[str]]:
    size = len(whole) // n_parts
    if size == 0:
        raise ConfigError(
            f"--parallel_folds {n_parts}: more than the {len(whole)} {kind}(s) that can be used. "
            f"Give at most {len(whole)}."
        )
    return [whole[place * size : (place + 1) * size] for place in range(n_parts)]


def _share(cores: list[str], n_threads: int, environment: dict[str, str] | None = None) -> Share:
    variables = {THREADS: str(n_threads_within(n_threads)), **(environment or {})}
    return Share(variables, frozenset(map(int, cores)))
