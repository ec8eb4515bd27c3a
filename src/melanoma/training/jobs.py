"""The jobs of a run: a process for each fold that is to be trained, and one that predicts."""

import time
from collections.abc import Iterator, Sequence
from pathlib import Path

import torch

from melanoma.errors import name_some
from melanoma.run_folder import RunFolder
from melanoma.tables import test_csv
from melanoma.training.budget import TimeBudget
from melanoma.training.config import RunConfig
from melanoma.training.disk_budget import keep_within
from melanoma.training.inputs import is_elsewhere
from melanoma.training.processes import Job

# A fold that could not train longer than this is not begun: its process takes that long to start.
SHORTEST_FOLD_S = 15.0


def jobs_of(
    config: RunConfig,
    run: RunFolder,
    folds: Sequence[int],
    budget: TimeBudget,
    side_by_side: bool,
    title: str = "",
) -> Iterator[Job]:
    """The job of each fold, made when it is about to be started; none where the time is up.

    Args:
        config: Of the run.
        run: Where it is.
        folds: To train.
        budget: Of the call.
        side_by_side: Whether folds are trained at the same time.
        title: Of the run, where folds of several are trained; begins the names of jobs, and lines.
    """
    quiet = ["--trainer.enable_progress_bar=false", "--trainer.enable_model_summary=false"]
    started: list[int] = []
    for fold in folds:
        to_predict = [run.fold(number) for number in run.finished_folds()]
        deadline = budget.training_deadline(to_predict)
        if deadline is not None and time.monotonic() + SHORTEST_FOLD_S > deadline:
            return
        if config.overwrite:
            run.fold(fold).clear()
        keep_within(run, config.disk_budget, next_fold=fold, running=started)
        started.append(fold)
        more = quiet if side_by_side else []  # what would be drawn over each other
        yield job_of(config, run.config_yaml, run, fold, more, deadline, title)


def job_of(
    config: RunConfig,
    path: Path,
    run: RunFolder,
    fold: int,
    more: Sequence[str] = (),
    deadline: float | None = None,
    title: str = "",
) -> Job:
    """The job of one fold, by the configuration at `path`."""
    resume = f"--resume={str(config.resume).lower()}"
    return Job(
        f"{title}, fold {fold}" if title else f"fold {fold}",
        "melanoma.training",
        ["--config", str(path), resume, *more, "--fold", str(fold)],
        deadline=deadline,
        folder=run.fold(fold),
        prefix=f"[{title}]" if title else "",
    )


def prediction_of(config: RunConfig, run: RunFolder, folds: Sequence[int]) -> Job | None:
    """The job that predicts the test set with folds; None if none is left to predict with."""
    # A trial run (--trainer.fast_dev_run) has finished none.
    ready = [fold for fold in folds if run.fold(fold).is_done and not run.fold(fold).is_predicted]
    if not ready:
        return None
    arguments = ["--run_dir", str(run.path), "--fold", ",".join(map(str, ready))]
    if is_elsewhere(config) and not torch.cuda.is_available():
        arguments += ["--accelerator", "auto"]
    return Job("the prediction of the test set", "melanoma.prediction", arguments, alone=True)


def missing_of(config: RunConfig, run: RunFolder, asked: Sequence[int]) -> str:
    """What a call that was ended early has left to do, for a sentence; empty for nothing."""
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
