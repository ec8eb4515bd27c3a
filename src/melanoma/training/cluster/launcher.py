"""The launcher of Ray: every fold a task, which is begun again where its machine dies."""

import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

from melanoma.command_line import sigterm_as_exit
from melanoma.errors import ConfigError, RunError
from melanoma.run_folder import RunFolder, binding_settings
from melanoma.run_locks import hold_folds
from melanoma.run_tables import hash_tables
from melanoma.training.cluster.connection import connected
from melanoma.training.cluster.lines import Lines, in_one_line, print_lines
from melanoma.training.cluster.machines import (
    address_of,
    check_machines,
    on_this_machine,
)
from melanoma.training.cluster.needs import Needs, check_fits, n_places, needs_of
from melanoma.training.cluster.node import Travel, Work, train
from melanoma.training.cluster.storage import FoldStore, identity
from melanoma.training.config import RunConfig
from melanoma.training.inputs import tables_of
from melanoma.training.processes import LOCK_WAIT, STOPPED, Job, JobQueue, Share

_POLL_S = 0.3
# How often a task is begun again after its machine has died.
_RETRIES = 5
# Longer than a fold's process is given to end; then whatever is left is ended.
_GRACE_S = 45.0
# For a machine to come (back) that a fold fits on.
_NO_MACHINE_S = 120.0
_LOOK_AT_MACHINES_S = 2.0
# Between two looks at whether there is a new checkpoint to keep in the storage.
_KEEP_EVERY_S = 20.0
# A process that has lost its launcher ends within seconds, but a server of files may hold its lock
# for the length of a lease after its machine has gone: 90 s with NFS 4 (RFC 7530, 9.5).
_LOCK_WAIT_S = 120


class RayLauncher:
    """Trains folds on the machines of a cluster that is connected to.

    Args:
        ray: The package.
        configs: Of the runs; all with the same options of the cluster.
        needs: Of a fold.
    """

    def __init__(self, ray: Any, configs: Sequence[RunConfig], needs: Needs) -> None:
        self._ray, self._needs = ray, needs
        self._configs = {config.run_dir: config for config in configs}
        self._lines = on_this_machine(ray, ray.remote(num_cpus=0, max_restarts=0)(Lines)).remote()
        self._stores: dict[Path, FoldStore] = {}
        self._places, self._looked_at = 0, float("-inf")

    @property
    def side_by_side(self) -> bool:
        """Whether folds are trained at the same time, and what they draw would be mixed up."""
        return True

    def run(self, jobs: JobQueue, deadline: float | None = None) -> dict[str, int]:
        """As `melanoma.training.processes.run_processes`, on the machines of the cluster.

        Raises:
            RunError: If there is no machine for a fold any more.
        """
        running: dict[Any, Job] = {}
        with sigterm_as_exit():
            try:
                while True:
                    while len(running) < self._n_places() and (job := jobs.take()):
                        running[self._submit(job)] = job
                    if not running:
                        return jobs.codes
                    done, _ = self._ray.wait(list(running), timeout=_POLL_S)
                    self._print()
                    for task in done:
                        self._end(task, job := running.pop(task), jobs)
                    if deadline is not None and time.monotonic() > deadline:
                        return jobs.codes | {job.name: STOPPED for job in running.values()}
            finally:
                self._stop(running)

    def fetch(self, run: RunFolder, folds: Sequence[int]) -> None:
        """Bring home what an earlier call, which was killed, has left in the storage."""
        for number in folds:
            if not run.fold(number).is_done:
                self._collect(Job("", "", [], folder=run.fold(number)))

    def _n_places(self) -> int:
        """How many folds fit in the cluster as it is now; machines may come and go."""
        if time.monotonic() - self._looked_at < _LOOK_AT_MACHINES_S:
            return self._places
        places = sum(n_places(node, self._needs) for node in self._ray.nodes())
        if places or self._places == 0:
            self._looked_at, self._places = time.monotonic(), places
        elif time.monotonic() - self._looked_at > _NO_MACHINE_S:
            raise RunError(
                f"--launcher ray: no machine is left that a fold fits on ({self._needs}). Start some "
                "with `ray start`; the same command goes on from the last checkpoints."
            )
        return self._places

    def _submit(self, job: Job) -> Any:
        assert job.folder is not None  # noqa: S101 - of a fold, as all that this launcher gets
        config = self._configs[job.folder.path.parent]
        store = self._store(job)
        if store is not None and config.overwrite:
            store.clear()
        elif store is not None and job.folder.is_begun and not store.read():
            store.push(job.folder)
        left = None if job.deadline is None else job.deadline - time.monotonic()
        work = Work(
            replace(job, deadline=None, prefix=""),
            {**self._needs.environment, LOCK_WAIT: str(_LOCK_WAIT_S)},
            Path.cwd(),
            None if left is None else time.time() + left,
            None if store is None else _travel(config, store),
        )
        task = self._ray.remote(
            num_cpus=self._needs.cores, num_gpus=self._needs.gpus, max_retries=_RETRIES
        )(train)
        return task.options(name=job.name).remote(work, self._lines, job.prefix)

    def _end(self, task: Any, job: Job, jobs: JobQueue) -> None:
        errors = self._ray.exceptions
        try:
            code = self._ray.get(task)
        except errors.TaskCancelledError:
            code = STOPPED
        except errors.RayError as error:
            # Not the fold's own failing: those are exit codes.
            print_lines([(True, f"error: {job.name}: lost by Ray: {in_one_line(error)}")])
            code = 1
        self._print()
        self._lines.forget.remote(job.name)
        self._collect(job)
        jobs.ended(job, code)

    def _stop(self, running: dict[Any, Job]) -> None:
        """Ask tasks to end with a checkpoint, wait for that, and bring home what there is."""
        for task in running:
            self._ray.cancel(task, force=False, recursive=False)
        ends, waiting = time.monotonic() + _GRACE_S, list(running)
        try:
            while waiting and time.monotonic() < ends:
                _, waiting = self._ray.wait(waiting, num_returns=len(waiting), timeout=_POLL_S)
                self._print()
        finally:  # a second Ctrl-C ends the waiting
            for task in waiting:
                self._ray.cancel(task, force=True)
        for job in running.values():
            self._collect(job)

    def _print(self) -> None:
        print_lines(self._ray.get(self._lines.fetch.remote()))

    def _store(self, job: Job) -> FoldStore | None:
        folder = job.folder
        if folder is None:
            return None
        run = RunFolder(folder.path.parent)
        config = self._configs[run.path]
        if config.cluster.storage is None:
            return None
        if folder.path not in self._stores:
            self._stores[folder.path] = FoldStore(
                f"{address_of(config)}/{folder.path.name}",
                identity(binding_settings(run.read_config()), hash_tables(tables_of(config))),
            )
        return self._stores[folder.path]

    def _collect(self, job: Job) -> None:
        store = self._store(job)
        if store is None or job.folder is None:
            return
        run = RunFolder(job.folder.path.parent)
        with hold_folds(run, [job.folder.number], "brought home"):
            store.pull(job.folder)


@contextmanager
def ray_launcher(configs: Sequence[RunConfig], shares: Sequence[Share]) -> Iterator[RayLauncher]:
    """A launcher for runs, for the length of a `with` statement: connected, and checked.

    Args:
        configs: Of the runs.
        shares: Of this machine, as the local launcher would divide it.

    Raises:
        MelanomaError: If no cluster answers, none of its machines is large enough, or one lacks
            the run folder or the data.
    """
    wanted = {str(needs): needs for needs in (needs_of(config, shares) for config in configs)}
    if len(wanted) > 1:
        raise ConfigError(
            f"--launcher ray: the folds of these runs take {' or '.join(wanted)}. Give all the same "
            "with --ray_cores and --ray_gpus, or train them in several calls."
        )
    needs = next(iter(wanted.values()))
    with connected(configs[0].cluster.address) as ray:
        nodes = ray.nodes()
        check_fits(nodes, needs)
        launcher = RayLauncher(ray, configs, needs)
        check_machines(ray, [node for node in nodes if n_places(node, needs)], configs)
        places = [n_places(node, needs) for node in nodes]
        print(
            f"Ray: {sum(map(bool, places))} machine(s), {sum(places)} fold(s) at a time, {needs} each",
            flush=True,
        )
        yield launcher


def _travel(config: RunConfig, store: FoldStore) -> Travel:
    paths = [name for name in ("data_dir", "folds_csv", "external_csv") if config.data[name]]
    places = {name: str(Path(config.data[name]).absolute()) for name in paths}
    if config.data_address is not None:  # each machine has a mirror of its own
        places["data_dir"] = config.data_address
    options = [f"--data.{name}={place}" for name, place in places.items()]
    return Travel(store, config.resolved, options, _KEEP_EVERY_S)
