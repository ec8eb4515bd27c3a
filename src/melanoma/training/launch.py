"""Training the folds of a run, one process each, and predicting the test photographs with them."""

import os
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

from melanoma.errors import ConfigError, RunError, name_some
from melanoma.files import sha256_of, write_text
from melanoma.folds.files import read_folds
from melanoma.locking import is_first_process
from melanoma.models.backbones import check_backbone, check_image_size
from melanoma.models.weights import check_weights
from melanoma.run_folder import RunFolder
from melanoma.run_locks import hold_call
from melanoma.tables import FOLD, test_csv, train_csv
from melanoma.training.accelerators import check_accelerator, check_switches
from melanoma.training.budget import TimeBudget
from melanoma.training.config import RunConfig
from melanoma.training.disk_budget import keep_within
from melanoma.training.processes import (
    STOPPED,
    WHOLE_MACHINE,
    Job,
    Share,
    describe_end,
    run_processes,
)
from melanoma.training.record import write_record
from melanoma.training.shares import divide_machine
from melanoma.training.trainer import check_trainer

ALL_FOLDS = "all"
# A fold that could not train longer than this is not begun: its process takes that long to start.
SHORTEST_FOLD_S = 15.0


def train_folds(config: RunConfig) -> Path | None:
    """Check everything, train the folds asked for that are not finished, then predict the test set.

    Folds never share a process: Lightning's launchers run the script again for each further
    device, which would repeat a loop over folds, and a device left in a bad state ends with it.

    Where the time budget ends it, or Ctrl-C or SIGTERM, folds stop with a checkpoint from which the
    same call goes on, and a line says what is missing.

    Where torchrun, SLURM or the like start this on every device, the further ones train along; the
    first alone writes, predicts and reports.

    Returns:
        The run folder; None where something is missing, and on further devices.

    Raises:
        MelanomaError: If tables, photographs or settings cannot be used, the run folder holds
            another configuration or other folds, or the process of a fold fails.
    """
    run = RunFolder(config.run_dir)
    asked = parse_folds(config)
    _check_launcher(config, asked)
    check_accelerator(config.trainer)
    check_switches(config.trainer, config.model)
    shares = divide_machine(config, len(asked))
    check_inputs(config, asked[0])
    if not is_first_process():
        _join(config, run, asked)
        return None
    with hold_call(run, asked):
        _train_missing(config, run, asked, shares)
        missing = _missing(config, run, asked)
    if config.trainer.get("fast_dev_run") or not missing:
        return config.run_dir
    print(
        f"stopped: {missing}. The same command goes on from there; scripts/build_submission.py "
        f"--run-dir {run.path} --allow-missing-folds makes a submission of what is finished.",
        flush=True,
    )
    return None


def _check_launcher(config: RunConfig, asked: list[int]) -> None:
    if "TORCHELASTIC_RUN_ID" in os.environ and len(asked) > 1:
        # The store in which its processes find each other is made once, and still holds where those
        # of the fold before were (torch/distributed/rendezvous.py, 2.15).
        raise ConfigError(
            f"--fold {config.folds}: torchrun trains one fold a call. Give it one after the other: "
            f"--fold {asked[0]}, then --fold {asked[1]}."
        )


def _train_missing(
    config: RunConfig, run: RunFolder, asked: list[int], shares: list[Share]
) -> None:
    finished = run.finished_folds()
    kept = [fold for fold in finished if not (config.overwrite and fold in asked)]
    run.take(config.resolved, _hashes(config), replaceable=config.overwrite and not kept)
    write_record(run, config)
    for fold in asked:
        if fold in kept:
            print(f"fold {fold} is finished and skipped; --overwrite repeats it", flush=True)
    budget = TimeBudget(config.time_budget_s, Path(config.data["data_dir"]))
    try:
        to_train = [fold for fold in asked if fold not in kept]
        jobs = _jobs(config, run, to_train, budget, side_by_side=len(shares) > 1)
        codes = run_processes(jobs, shares, budget.deadline)
        _check_ended_well(run, codes)
        if test_csv(Path(config.data["data_dir"])).exists():
            _predict_test_set(run, asked, budget)
        keep_within(run, config.disk_budget)
    except KeyboardInterrupt:
        print(flush=True)


def _join(config: RunConfig, run: RunFolder, asked: list[int]) -> None:
    """Train as a further device: all of a fold's processes have to be there for it to begin."""
    finished = [] if config.overwrite else run.finished_folds()
    with TemporaryDirectory() as folder:
        # The first process may not have written the run's own yet.
        path = write_text(Path(folder) / "config.yaml", config.resolved)
        jobs = [_job(config, path, fold) for fold in asked if fold not in finished]
        codes = run_processes(jobs, [WHOLE_MACHINE])
    _check_ended_well(run, codes)


def _missing(config: RunConfig, run: RunFolder, asked: list[int]) -> str:
    """What a call that was ended early has left to do, for a sentence."""
    finished = [fold for fold in asked if run.fold(fold).is_done]
    begun = [fold for fold in asked if fold not in finished and run.fold(fold).is_begun]
    others = [fold for fold in asked if fold not in finished and fold not in begun]
    has_test_set = test_csv(Path(config.data["data_dir"])).exists()
    unpredicted = [fold for fold in finished if has_test_set and not run.fold(fold).is_predicted]
    parts = [
        (begun, "is trained in part"),
        (others, "has not been begun"),
        (unpredicted, "has no test predictions yet"),
    ]
    found = [f"fold {name_some(folds)} {what}" for folds, what in parts if folds]
    if found:
        found.insert(0, f"{len(finished)} of {len(asked)} folds finished")
    return ", ".join(found)


def check_inputs(config: RunConfig, fold: int) -> None:
    """Check tables, photographs, settings and weights before anything is trained.

    Raises:
        MelanomaError: Naming what cannot be used.
    """
    check_backbone(config.model["backbone"])  # before the photographs, which take longer
    data = config.data_module(fold)
    data.prepare_data()
    data.setup()
    module = config.module(data)
    module.create_optimizer()
    check_image_size(module.network.backbone, data.image_size)
    check_weights(config.model["weights"], config.model["backbone"])
    check_trainer(config)


def parse_folds(config: RunConfig) -> list[int]:
    """The folds asked for, in that order, each once.

    Raises:
        ConfigError: If one does not exist, or the option is not understood.
    """
    known = sorted(_folds_of(config))
    asked = fold_numbers(config.folds, known)
    unknown = [fold for fold in asked if fold not in known]
    if unknown:
        raise ConfigError(
            f"--fold {config.folds}: {config.data['folds_csv']} has no fold {name_some(unknown)}, "
            f"but {name_some(known)}."
        )
    return asked


def fold_numbers(text: str, known: list[int]) -> list[int]:
    """The folds that the option --fold names, in that order, each once; `all` for those known.

    Raises:
        ConfigError: If it is not understood.

    >>> fold_numbers("2,0,2", known=[0, 1, 2])
    [2, 0]
    """
    if text == ALL_FOLDS:
        return known
    try:
        return list(dict.fromkeys(int(number) for number in text.split(",")))
    except ValueError:
        raise ConfigError(
            f"--fold {text}: not understood. Give a number (0), several (0,2), or all."
        ) from None


def _folds_of(config: RunConfig) -> set[int]:
    data = config.data
    return set(
        read_folds(Path(data["folds_csv"]), Path(data["data_dir"]), data["fold_column"])[FOLD]
    )


def _hashes(config: RunConfig) -> dict[str, str]:
    tables = [train_csv(Path(config.data["data_dir"])), Path(config.data["folds_csv"])]
    if config.data["external_csv"]:
        tables.append(Path(config.data["external_csv"]))
    names = ["train.csv", "the fold file", "the external table"]
    return {name: sha256_of(path) for name, path in zip(names, tables)}


def _jobs(
    config: RunConfig, run: RunFolder, folds: list[int], budget: TimeBudget, side_by_side: bool
) -> Iterator[Job]:
    quiet = ["--trainer.enable_progress_bar=false", "--trainer.enable_model_summary=false"]
    for fold in folds:
        to_predict = [run.fold(number) for number in run.finished_folds()]
        deadline = budget.training_deadline(to_predict)
        if deadline is not None and time.monotonic() + SHORTEST_FOLD_S > deadline:
            return
        if config.overwrite:
            run.fold(fold).clear()
        keep_within(run, config.disk_budget, next_fold=fold)
        more = quiet if side_by_side else []  # what would be drawn over each other
        more = more if deadline is None else [*more, f"--deadline={deadline}"]
        yield _job(config, run.config_yaml, fold, more)


def _job(config: RunConfig, path: Path, fold: int, more: Sequence[str] = ()) -> Job:
    resume = f"--resume={str(config.resume).lower()}"
    arguments = ["--config", str(path), resume, *more, "--fold", str(fold)]
    return Job(f"fold {fold}", "melanoma.training", arguments)


def _check_ended_well(run: RunFolder, codes: dict[str, int]) -> None:
    stopped = [
        f"{name} {describe_end(code)}" for name, code in codes.items() if code not in (0, STOPPED)
    ]
    if stopped:
        raise RunError(
            f"{', '.join(stopped)}; the reason is above. What is finished stays in {run.path}; the "
            "same command goes on from there."
        )


def _predict_test_set(run: RunFolder, folds: list[int], budget: TimeBudget) -> None:
    # A trial run (--trainer.fast_dev_run) has finished none.
    ready = [fold for fold in folds if run.fold(fold).is_done and not run.fold(fold).is_predicted]
    if not ready:
        return
    arguments = ["--run_dir", str(run.path), "--fold", ",".join(map(str, ready))]
    job = Job("the prediction of the test set", "melanoma.prediction", arguments, alone=True)
    code = run_processes([job], [WHOLE_MACHINE], budget.deadline)[job.name]
    if code not in (0, STOPPED):
        raise RunError(
            f"{job.name} {describe_end(code)}; the reason is above. The folds are trained; "
            f"scripts/predict_folds.py --run-dir {run.path} goes on from there."
        )
