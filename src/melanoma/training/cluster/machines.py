"""The machines of a cluster, asked before anything is trained whether folds can be trained there."""

import secrets
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from melanoma.errors import RunError, name_some
from melanoma.files import remove_file, write_text
from melanoma.images.sources import sources_of
from melanoma.locking import LOCKS
from melanoma.run_tables import TRAIN, hash_tables
from melanoma.training.cluster import probe
from melanoma.training.cluster.lines import in_one_line, print_lines
from melanoma.training.cluster.storage import write_token
from melanoma.training.config import RunConfig
from melanoma.training.inputs import tables_of

# What a machine may take to get the code and to answer, the first time.
_PROBE_S = 90.0
_N_PHOTOGRAPHS = 5


def check_machines(
    ray: Any, nodes: Sequence[Mapping[str, Any]], configs: Sequence[RunConfig]
) -> None:
    """Look from every machine at the run folders, the data and the versions there.

    Args:
        ray: The package, connected.
        nodes: As `ray.nodes()` describes them; those that folds may be trained on.
        configs: Of the runs.

    Raises:
        RunError: If one lacks something, or does not answer.
    """
    notes: list[str] = []
    for config in configs:
        with _expected(config) as expected:
            seen = _look(ray, nodes, expected)
        notes += probe.judge(seen, probe.versions())
    print_lines([(False, note) for note in dict.fromkeys(notes)])


def _look(
    ray: Any, nodes: Sequence[Mapping[str, Any]], expected: probe.Expected
) -> list[probe.Seen]:
    look = ray.remote(num_cpus=0, max_retries=0)(probe.look)
    tasks = {_on_node(look, node["NodeID"]).remote(expected): node for node in nodes}
    done, silent = ray.wait(list(tasks), num_returns=len(tasks), timeout=_PROBE_S)
    if silent:
        hosts = [tasks[task]["NodeManagerHostname"] for task in silent]
        raise RunError(
            f"--launcher ray: no answer from {name_some(hosts)} within {_PROBE_S:.0f} s. Look "
            "at its raylet.out and runtime_env_agent.log (/tmp/ray/session_latest/logs), or take "
            "it out of the cluster with `ray stop`."
        )
    try:
        return [*ray.get(done)]
    except ray.exceptions.RayError as error:
        raise RunError(
            f"--launcher ray: a machine cannot run our code ({in_one_line(error)}). Install "
            "requirements.txt and requirements-ray.txt on each, with constraints.txt."
        ) from error


@contextmanager
def _expected(config: RunConfig) -> Iterator[probe.Expected]:
    """What every machine must see of a run, its token in place for as long."""
    token, storage = secrets.token_hex(8), None
    path: Path | None = (config.run_dir / LOCKS / f"shared-{token}").absolute()
    if config.cluster.storage is not None:
        path, storage = None, address_of(config)
        write_token(storage, token)
    elif path is not None:
        write_text(path, token)
    files = tables_of(config)
    hashes = hash_tables(files)
    behind_address = _behind_address(config, hashes)
    if behind_address:
        del files[TRAIN]
    tables = {file.absolute(): hashes[name] for name, file in files.items()}
    some = {} if behind_address else _some_photographs(config)
    try:
        yield probe.Expected(token, path, storage, tables, some, behind_address)
    finally:
        if path is not None:
            remove_file(path)


def _behind_address(config: RunConfig, hashes: Mapping[str, str]) -> dict[str, Any]:
    """What opens the data of a run on any machine; empty where they are in a folder."""
    if config.data_address is None:
        return {}
    return {**config.data, "data_dir": config.data_address, "train": hashes[TRAIN]}


def _some_photographs(config: RunConfig) -> dict[Path, int]:
    paths = sources_of(config.data).paths
    some = paths[:: max(1, len(paths) // _N_PHOTOGRAPHS)]
    return {path.absolute(): path.stat().st_size for path in some}


def address_of(config: RunConfig) -> str:
    """Where a run is in the storage."""
    return f"{str(config.cluster.storage).rstrip('/')}/{config.run_dir.name}"


def _on_node(remote: Any, node_id: str) -> Any:
    from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

    return remote.options(scheduling_strategy=NodeAffinitySchedulingStrategy(node_id, soft=False))


def on_this_machine(ray: Any, remote: Any) -> Any:
    """A task or an actor of Ray that runs where this process does."""
    return _on_node(remote, ray.get_runtime_context().get_node_id())
