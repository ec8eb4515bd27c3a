"""Training the folds of a run, one process each, and predicting the test photographs with them."""

import os
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Protocol

import yaml

from melanoma.errors import ConfigError, RunError
from melanoma.files import write_text
from melanoma.locking import is_alone, is_first_process
from melanoma.run_folder import RunFolder
from melanoma.run_locks import hold_call
from melanoma.run_tables import hash_tables
from melanoma.tables import test_csv
from melanoma.training.accelerators import check_accelerator, check_switches
from melanoma.training.budget import TimeBudget
from melanoma.training.config import RunConfig
from melanoma.training.disk_budget import keep_within
from melanoma.training.inputs import check_inputs, is_elsewhere, parse_folds, tables_of
from melanoma.training.jobs import job_of, jobs_of, missing_of, prediction_of
from melanoma.training.processes import (
    STOPPED,
    WHOLE_MACHINE,
    JobQueue,
    Share,
    describe_end,
    run_processes,
)
from melanoma.training.record import write_record
from melanoma.training.shares import divide_machine


class Launcher(Protocol):
    """What runs the jobs of folds: processes of this machine, or tasks of a cluster."""

    @property
    def side_by_side(self) -> bool:
        """Whether folds are trained at the same time, and what they draw would be mixed up."""

    def run(self, jobs: JobQueue, deadline: float | None = None) -> dict[str, int]:
        """Run jobs; the exit code of each that was started, by its name."""

    def fetch(self, run: RunFolder, folds: Sequence[int]) -> None:
        """Bring home what an earlier call, which was killed, has left elsewhere."""


@dataclass(frozen=True)
class LocalLauncher:
    """Processes of this machine, one for each of its shares."""

    shares: list[Share]

    @property
    def side_by_side(self) -> bool:
        """Whether there are several shares."""
        return len(self.shares) > 1

    def run(self, jobs: JobQueue, deadline: float | None = None) -> dict[str, int]:
        """See `run_processes`."""
        return run_processes(jobs, self.shares, deadline)

    def fetch(self, run: RunFolder, folds: Sequence[int]) -> None:
        """Nothing is elsewhere."""


def train_folds(config: RunConfig) -> Path | None:
    """Check everything, train the folds asked for that are not finished, then predict the test set.

    Folds never share a process: Lightning's launchers run the script again for each further
    device, which would repeat a loop over folds, and a device left in a bad state ends with it.

    Where the time budget ends it, or Ctrl-C or SIGTERM, folds stop with a checkpoint from which the
    same call goes on, and a line says what is missing.

    Where torchrun, SLURM or the like start this on every device, the further ones train along; the
    first alone writes, predicts and reports.

    A trial run (`trainer.fast_dev_run`) on one machine leaves nothing in the run folder.

    Returns:
        The run folder; None where something is missing, of a trial run, and on further devices.

    Raises:
        MelanomaError: If tables, photographs or settings cannot be used, the run folder holds
            another configuration or other folds, or the process of a fold fails.
    """
    if config.trainer.get("fast_dev_run") and not config.cluster.is_ray and is_alone():
        with TemporaryDirectory() as folder:
            _train(_moved(config, Path(folder) / config.run_dir.name))
        print("a trial run: nothing of it is kept", flush=True)
        return None
    return _train(config)


def _moved(config: RunConfig, run_dir: Path) -> RunConfig:
    resolved = yaml.safe_load(config.resolved) | {"run_dir": str(run_dir)}
    return replace(config, run_dir=run_dir, resolved=yaml.safe_dump(resolved, sort_keys=False))


def _train(config: RunConfig) -> Path | None:
    run = RunFolder(config.run_dir)
    asked = parse_folds(config)
    check_call(config, asked)
    shares = share_machine(config, len(asked))
    check_inputs(config, asked)
    if not is_first_process():
        _join(config, run, asked)
        return None
    with hold_call(run, asked), open_launcher([config], shares) as launcher:
        _train_missing(config, run, asked, launcher)
        missing = missing_of(config, run, asked)
    if config.trainer.get("fast_dev_run") or not missing:
        return config.run_dir
    submission = (
        f"; scripts/build_submission.py --run-dir {run.path} --allow-missing-folds makes a submission "
        "of what is finished"
    )
    has_finished = any(run.fold(fold).is_done for fold in asked)
    print(
        f"stopped: {missing}. The same command goes on from there{submission * has_finished}.",
        flush=True,
    )
    return None


def check_call(config: RunConfig, asked: list[int]) -> None:
    """Check that what starts the folds, and the devices they are to have, are there.

    Raises:
        ConfigError: If not, or if one does not go with the other.
    """
    if "TORCHELASTIC_RUN_ID" in os.environ:
        if config.cluster.is_ray:
            raise ConfigError(
                "--launcher ray under torchrun: both would start processes. Start the script with "
                "python."
            )
        if len(asked) > 1:
            # The store in which its processes find each other is made once, and still holds where
            # those of the fold before were (torch/distributed/rendezvous.py, 2.15).
            raise ConfigError(
                f"--fold {config.folds}: torchrun trains one fold a call. Give it one after the "
                f"other: --fold {asked[0]}, then --fold {asked[1]}."
            )
    if config.cluster.is_ray:
        from melanoma.training.cluster.connection import check_reachable

        check_reachable(config.cluster.address)
    if not is_elsewhere(config):
        check_accelerator(config.trainer)
    check_switches(config.trainer, config.model)


def share_machine(config: RunConfig, n_asked: int) -> list[Share]:
    """The shares of this machine that folds have; of the whole where it has not their devices."""
    return [WHOLE_MACHINE] if is_elsewhere(config) else divide_machine(config, n_asked)


@contextmanager
def _local(shares: list[Share]) -> Iterator[Launcher]:
    yield LocalLauncher(shares)


def open_launcher(
    configs: Sequence[RunConfig], shares: list[Share]
) -> AbstractContextManager[Launcher]:
    """What runs the folds of runs, for the length of a `with` statement.

    Args:
        configs: Of the runs, all with the same options of the cluster.
        shares: Of this machine.

    Raises:
        MelanomaError: On entering it, if a cluster cannot be used.
    """
    if not configs[0].cluster.is_ray:
        return _local(shares)
    from melanoma.training.cluster.launcher import ray_launcher

    return ray_launcher(configs, shares)


def begin_run(
    config: RunConfig, run: RunFolder, asked: list[int], launcher: Launcher, title: str = ""
) -> list[int]:
    """Make the run folder that of this configuration; the folds that are to be trained.

    Args:
        config: Of the run.
        run: Where it is.
        asked: The folds that are asked for.
        launcher: Which may know of more that are finished.
        title: Of the run, where there are several; begins what is printed.

    Raises:
        MelanomaError: If it is one of another configuration, or cannot be written.
    """
    finished = run.finished_folds()
    kept = [fold for fold in finished if not (config.overwrite and fold in asked)]
    tables = hash_tables(tables_of(config))
    run.take(config.resolved, tables, replaceable=config.overwrite and not kept)
    write_record(run, config)
    if not config.overwrite:
        launcher.fetch(run, asked)
        kept = run.finished_folds()
    for fold in asked:
        if fold in kept:
            name = f"{title}, fold {fold}" if title else f"fold {fold}"
            print(f"{name} is finished and skipped; --overwrite repeats it", flush=True)
    return [fold for fold in asked if fold not in kept]


def finish_run(
    config: RunConfig,
    run: RunFolder,
    asked: list[int],
    codes: dict[str, int],
    budget: TimeBudget,
) -> None:
    """See that the folds of a run have ended well, then predict the test set with them.

    Raises:
        RunError: If one has not, or the prediction fails.
    """
    _check_ended_well(run, codes)
    if test_csv(Path(config.data["data_dir"])).exists():
        _predict_test_set(config, run, asked, budget)
    keep_within(run, config.disk_budget)


def _train_missing(config: RunConfig, run: RunFolder, asked: list[int], launcher: Launcher) -> None:
    to_train = begin_run(config, run, asked, launcher)
    budget = TimeBudget(config.time_budget_s, Path(config.data["data_dir"]))
    try:
        jobs = jobs_of(config, run, to_train, budget, side_by_side=launcher.side_by_side)
        codes = launcher.run(JobQueue([jobs]), budget.deadline)
        finish_run(config, run, asked, codes, budget)
    except KeyboardInterrupt:
        print(flush=True)


def _join(config: RunConfig, run: RunFolder, asked: list[int]) -> None:
    """Train as a further device: all of a fold's processes have to be there for it to begin."""
    finished = [] if config.overwrite else run.finished_folds()
    with TemporaryDirectory() as folder:
        # The first process may not have written the run's own yet.
        path = write_text(Path(folder) / "config.yaml", config.resolved)
        jobs = [job_of(config, path, run, fold) for fold in asked if fold not in finished]
        codes = run_processes(jobs, [WHOLE_MACHINE])
    _check_ended_well(run, codes)


def _check_ended_well(run: RunFolder, codes: dict[str, int]) -> None:
    stopped = [
        f"{name} {describe_end(code)}" for name, code in codes.items() if code not in (0, STOPPED)
    ]
    if stopped:
        goes_on = (
            f" What is finished stays in {run.path}; the same command goes on from there."
            if any(run.fold(number).is_begun for number in run.begun_folds())
            else ""
        )
        raise RunError(f"{', '.join(stopped)}; the reason is above.{goes_on}")


def _predict_test_set(
    config: RunConfig, run: RunFolder, folds: list[int], budget: TimeBudget
) -> None:
    job = prediction_of(config, run, folds)
    if job is None:
        return
    code = run_processes([job], [WHOLE_MACHINE], budget.deadline)[job.name]
    if code not in (0, STOPPED):
        raise RunError(
            f"{job.name} {describe_end(code)}; the reason is above. The folds are trained; "
            f"scripts/predict_folds.py --run-dir {run.path} goes on from there."
        )
