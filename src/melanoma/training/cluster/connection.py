"""Connecting to a Ray cluster: quickly, or with a message that says what to do."""

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import melanoma
from melanoma.errors import ConfigError, MelanomaError
from melanoma.training.cluster.address import check_answers, make_token

_INSTALL = "python -m pip install -r requirements-ray.txt -c constraints.txt"
# What Ray prints on this machine of another one that died, with up to 40 lines of its server's state;
# the launcher says in a line where the fold begins again.
_SAID_BY_US = ("Raylet is terminated", "so the task will be retried", "has been marked dead")
# Before Ray is imported, which reads them once; what the user has set stands.
_ENVIRONMENT = {
    # Ray sends figures about its use to its makers unless told not to (ray.io, "usage stats").
    "RAY_USAGE_STATS_ENABLED": "0",
    # Seconds for which this machine's part of the cluster is looked for, by default 60
    # (ray/_private/ray_constants.py, 2.60).
    "RAY_GCS_SERVER_REQUEST_TIMEOUT_SECONDS": "10",
    # Warns at every start that tasks without GPUs will see them some day; ours are told not to.
    "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0",
}


def import_ray() -> Any:
    """The package.

    Raises:
        ConfigError: If it is not installed, with the command that installs it.
    """
    for name, value in _ENVIRONMENT.items():
        os.environ.setdefault(name, value)
    check_installed()
    import ray

    return ray


def check_installed() -> None:
    """Check that there is a Ray here, without importing it.

    Raises:
        ConfigError: If not, with the command that installs it.
    """
    if find_spec("ray") is None:
        raise ConfigError(f"--launcher ray: Ray is not installed. Install it with: {_INSTALL}")


@contextmanager
def connected(address: str | None) -> Iterator[Any]:
    """Be connected to a cluster, for the length of a `with` statement; gives the package.

    Args:
        address: Of a cluster; None for `RAY_ADDRESS`, or where that is not set for one of this
            machine alone, which is started and ended.

    Raises:
        ConfigError: If the address cannot be one, or Ray is not installed.
        MelanomaError: If no cluster answers, or one of other versions.
    """
    check_reachable(address)
    ray = import_ray()  # after that: it reads once whether to use a token
    address = address or os.environ.get("RAY_ADDRESS") or None
    _silence_known_messages(ray)
    own = {}
    if address is None:
        make_token()
        own = {"include_dashboard": False}
    try:
        ray.init(
            address=address or "local",
            # What tasks say comes through `melanoma.training.cluster.lines`; Ray's own way would
            # bring its servers' states with it, and may lose the last lines.
            log_to_driver=False,
            # INFO says at every start where it is connected to; errors are said by us.
            logging_level="ERROR",
            # The code travels, so that every machine runs this one.
            runtime_env={
                "py_modules": [str(Path(melanoma.__file__).parent)],
                "excludes": ["__pycache__"],
            },
            **own,
        )
    except (ConnectionError, RuntimeError, ValueError, TimeoutError) as error:
        raise _explain(error, address) from error
    try:
        yield ray
    finally:
        ray.shutdown()


def check_reachable(address: str | None) -> None:
    """Check that there is a Ray here, and one at the address, before anything that takes longer.

    Raises:
        ConfigError: If not.
    """
    check_installed()
    address = address or os.environ.get("RAY_ADDRESS") or None
    if address not in (None, "auto"):
        check_answers(address)


def _silence_known_messages(ray: Any) -> None:
    worker = ray._private.worker  # it has no switch for them (2.60)
    show = getattr(worker, "print_to_stdstream", None)
    if show is None or hasattr(show, "melanoma_shows"):
        return

    def show_others(data: dict[str, Any], *others: Any, **more: Any) -> None:
        text = "".join(data.get("lines", []))
        if not any(known in text for known in _SAID_BY_US):
            show(data, *others, **more)

    show_others.melanoma_shows = show  # type: ignore[attr-defined]
    worker.print_to_stdstream = show_others


def _explain(error: Exception, address: str | None) -> MelanomaError:
    text = " ".join(str(error).split())
    if "Version mismatch" in text:
        return ConfigError(
            f"--ray_address {address}: the cluster has another version of Ray or Python "
            f"({text.partition('Version mismatch: ')[2]}). Install the same on every machine: this one "
            f"has Python {'.'.join(map(str, sys.version_info[:3]))}, and Ray is pinned in "
            "constraints.txt."
        )
    if "No node info found" in text or "node_ip_address" in text:
        return ConfigError(
            f"--ray_address {address}: the cluster answers, but this machine is none of its own. Start "
            f"the command on one of them, or join it: ray start --address={address} --num-cpus=0"
        )
    where = f"--ray_address {address}" if address else "--launcher ray"
    return ConfigError(
        f"{where}: no connection to a Ray cluster ({text[:300]}). Start one with `ray start --head`, "
        "or give the HOST:PORT of one."
    )
