"""What a fold takes of a machine of the cluster, and which machines have it."""

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch

from melanoma.errors import ConfigError
from melanoma.images.workers import available_cores
from melanoma.models.acceleration import device_of
from melanoma.training.config import RunConfig
from melanoma.training.processes import Share
from melanoma.training.shares import THREADS, n_threads_within

# Of this machine's environment, what a fold's process is told on another one too.
_HANDED_ON = ("NO_ALBUMENTATIONS_UPDATE", "MELANOMA_WEIGHTS", "WANDB_MODE")


@dataclass(frozen=True)
class Needs:
    """What one fold takes.

    Attributes:
        cores: Processor cores.
        gpus: GPUs.
        environment: Of its process.
    """

    cores: int
    gpus: int
    environment: dict[str, str]

    def __str__(self) -> str:
        """For a sentence."""
        return f"{self.cores} core(s)" + (f" and {self.gpus} GPU(s)" if self.gpus else "")


def needs_of(config: RunConfig, shares: Sequence[Share]) -> Needs:
    """What a fold takes: by default its share of this machine, had it been trained here.

    So it comes to the same: its last bits depend on the number of its threads.

    Args:
        config: Of the run.
        shares: Of this machine, as the local launcher divides it.

    Raises:
        ConfigError: If its devices are none that Ray divides.
    """
    share, options = shares[0], config.cluster
    gpus = _n_gpus(config) if options.gpus is None else options.gpus
    cores = options.cores or len(share.cores or available_cores())
    n_processes = gpus or _n_devices(config.trainer["devices"])
    own = share.environment.get(THREADS)
    if own is None or options.cores:
        whole = n_processes == 1 and not options.cores
        own = str(_whole_machine() if whole else n_threads_within(cores // n_processes))
    handed_on = {name: os.environ[name] for name in _HANDED_ON if name in os.environ}
    # Ray names the GPUs to those that it gives some; the others must not see any.
    hidden = {} if gpus else {"CUDA_VISIBLE_DEVICES": ""}
    return Needs(cores, gpus, {**handed_on, **hidden, THREADS: own})


def n_places(node: Mapping[str, Any], needs: Needs) -> int:
    """How many folds fit on a machine at a time, as `ray.nodes()` describes it."""
    if not node["Alive"]:
        return 0
    places = [int(_of(node, "CPU") // needs.cores)]
    return min([*places, int(_of(node, "GPU") // needs.gpus)] if needs.gpus else places)


def check_fits(nodes: Sequence[Mapping[str, Any]], needs: Needs) -> None:
    """Check that there is a machine that a fold fits on: Ray would wait for one without end.

    Raises:
        ConfigError: With what the machines have.
    """
    if any(n_places(node, needs) for node in nodes):
        return
    found = [
        f"{node['NodeManagerHostname']} {_of(node, 'CPU'):.0f} core(s)"
        + (f" and {gpus:.0f} GPU(s)" if (gpus := _of(node, "GPU")) else "")
        for node in nodes
        if node["Alive"]
    ]
    raise ConfigError(
        f"--launcher ray: a fold takes {needs}, and no machine of the cluster has them "
        f"({', '.join(found)}). Give it less with --ray_cores and --ray_gpus, or add a machine."
    )


def _of(node: Mapping[str, Any], resource: str) -> float:
    return float(node["Resources"].get(resource, 0))


def _n_gpus(config: RunConfig) -> int:
    accelerator, devices = config.trainer["accelerator"], config.trainer["devices"]
    # Asked for by name, they need not be here: this machine may only hand out the work.
    device = "cuda" if accelerator in ("gpu", "cuda") else device_of(accelerator)
    if device == "cpu":
        return 0
    if device != "cuda":
        raise ConfigError(
            f"--launcher ray with --trainer.accelerator {accelerator}: Ray divides processor cores "
            "and CUDA GPUs. Train on others with --launcher local, on each machine some folds."
        )
    if str(devices) in ("auto", "-1"):
        return max(1, torch.cuda.device_count())
    return _n_devices(devices)


def _n_devices(devices: Any) -> int:
    if str(devices) in ("auto", "-1"):
        return 1
    if not str(devices).isdigit():
        raise ConfigError(
            f"--launcher ray with --trainer.devices {devices}: Ray says which ones a fold has. Give "
            "their number."
        )
    return int(devices)


def _whole_machine() -> int:
    return torch.get_num_threads()
