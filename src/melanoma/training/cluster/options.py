"""What is said of a cluster on the command line."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from melanoma.errors import ConfigError

Launcher = Literal["local", "ray"]
OPTIONS = ("launcher", "ray_address", "ray_cores", "ray_gpus", "ray_storage")


@dataclass(frozen=True)
class ClusterOptions:
    """Where folds are trained, and what each takes there.

    Attributes:
        launcher: `local` for this machine, `ray` for the machines of a Ray cluster.
        address: Of the cluster, as `ray start` prints it; None for `RAY_ADDRESS`, or where that is
            not set for a cluster of this machine alone, which ends with the call.
        cores: Processor cores of a fold; None for what it would have on this machine.
        gpus: GPUs of a fold; None for `trainer.devices` where GPUs are asked for.
        storage: An fsspec address by which folds travel, where the machines share no disk.
    """

    launcher: Launcher = "local"
    address: str | None = None
    cores: int | None = None
    gpus: int | None = None
    storage: str | None = None

    @property
    def is_ray(self) -> bool:
        """Whether folds are tasks of Ray."""
        return self.launcher == "ray"


def add_cluster_options(parser: Any) -> None:
    """Add the options to the parser of train_folds.py."""
    add = parser.add_argument
    add(
        "--launcher",
        type=Launcher,
        default="local",
        help="local, or ray: folds as tasks of a Ray cluster (docs/cluster.md)",
    )
    add("--ray_address", type=str | None, default=None, help="HOST:PORT of the cluster, or auto")
    add(
        "--ray_cores",
        type=int | None,
        default=None,
        help="cores of a fold; default: as many as it would have on this machine",
    )
    add(
        "--ray_gpus",
        type=int | None,
        default=None,
        help="GPUs of a fold; default: trainer.devices where GPUs are asked for",
    )
    add(
        "--ray_storage",
        type=str | None,
        default=None,
        help="where folds are kept on the way, such as s3://bucket/prefix, if no disk is shared",
    )


def cluster_options(parsed: Mapping[str, Any]) -> ClusterOptions:
    """The options as parsed.

    Raises:
        ConfigError: If they contradict each other.
    """
    names = {name: name.removeprefix("ray_") for name in OPTIONS}
    options = ClusterOptions(**{names[name]: parsed[name] for name in OPTIONS})
    given = [name for name in OPTIONS[1:] if parsed[name] is not None]
    if given and not options.is_ray:
        raise ConfigError(f"--{given[0]} is of the cluster: give it with --launcher ray.")
    if options.cores is not None and options.cores < 1:
        raise ConfigError(f"--ray_cores {options.cores}: must be at least 1.")
    if options.gpus is not None and options.gpus < 0:
        raise ConfigError(f"--ray_gpus {options.gpus}: must not be negative.")
    return options


def check_with_others(
    options: ClusterOptions, parallel_folds: int | None, trainer: Mapping[str, Any]
) -> None:
    """Check that nothing else divides the work too.

    Raises:
        ConfigError: Naming it.
    """
    if not options.is_ray:
        return
    if parallel_folds is not None:
        raise ConfigError(
            f"--launcher ray with --parallel_folds {parallel_folds}: Ray trains as many folds at a "
            "time as fit. Leave --parallel_folds out; --ray_cores and --ray_gpus say what each takes."
        )
    if trainer.get("num_nodes", 1) not in (1, "1", None):
        raise ConfigError(
            f"--launcher ray with --trainer.num_nodes {trainer['num_nodes']}: Ray gives a fold one "
            "machine. Leave num_nodes out, or use torchrun or SLURM (docs/several_devices.md)."
        )
