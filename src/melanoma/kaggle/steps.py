"""The steps of a kernel: the very scripts, as processes, each with its command line in the log."""

import shlex
import shutil
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from melanoma.children import Child
from melanoma.errors import MelanomaError
from melanoma.kaggle.inputs import AttachedRun
from melanoma.kaggle.job import Job

# scripts/train_folds.py gives its folds half a minute to write their checkpoints.
_GRACE_S = 60.0
_TIME_UP = 124  # as of timeout(1)
# Of the 19.5 GB that Kaggle keeps; and where less is free, of that.
_DISK_BUDGET = 18_000_000_000
_DISK_SHARE = 0.9
# As Lightning names the kinds of machines.
_LIGHTNING = {"cpu": "cpu", "cuda": "gpu", "tpu": "tpu"}
_NO_FILES = ("none", "imagenet")


class StepError(MelanomaError):
    """A step has failed, with an exit code that is the kernel's then."""

    def __init__(self, message: str, code: int) -> None:
        super().__init__(message)
        self.exit_code = code


@dataclass(frozen=True)
class Session:
    """A kernel that has what it needs.

    Attributes:
        job: What it is asked to do.
        bundle: The folder with `src` and `scripts`; paths in the job are relative to it.
        working: For what is kept.
        scratch: For everything else.
        data_dir: The competition folder.
        runs: What earlier kernels have left.
        fold_files: Tables that may be the fold file of a run.
        deadline: When the kernel has to have ended, by `time.monotonic()`.
    """

    job: Job
    bundle: Path
    working: Path
    scratch: Path
    data_dir: Path
    runs: tuple[AttachedRun, ...]
    fold_files: tuple[Path, ...]
    deadline: float

    @property
    def run_dir(self) -> Path:
        """Of the run that is trained or predicted with, or of the blend."""
        return self.working / "runs" / self.job.run_name

    @property
    def sources(self) -> list[Path]:
        """The folders of the attached runs."""
        return [run.path for run in self.runs]


def run_step(command: Sequence[str], folder: Path, deadline: float | None = None) -> None:
    """Run a script to its end. Where this process is asked to end, so is the step, first.

    Args:
        command: The script and its options.
        folder: In which it runs.
        deadline: When it has to have ended, by `time.monotonic()`; None for never.

    Raises:
        StepError: If it fails, with its exit code, or does not end in time.
    """
    print(f"$ python {shlex.join(command)}", flush=True)
    timeout = None if deadline is None else max(0.0, deadline - time.monotonic())
    try:
        with Child([sys.executable, *command], _GRACE_S, cwd=folder) as process:
            code = process.wait(timeout)
    except subprocess.TimeoutExpired:
        raise StepError(
            f"{command[0]} has not ended in time. Push with a longer time budget, or for fewer folds.",
            _TIME_UP,
        ) from None
    if code:
        code = 128 - code if code < 0 else code  # ended by a signal, as a shell counts it
        raise StepError(
            f"{command[0]} has failed with exit code {code}; the reason is above.", code
        )


def create_folds_command(session: Session, folds_csv: Path) -> list[str]:
    """To make the folds there."""
    options = {"data_dir": session.data_dir, "output": folds_csv}
    return ["scripts/create_folds.py", *_options(options)]


def train_command(
    session: Session, folds_csv: Path, n_folds: int, seconds: int, config: dict[str, Any]
) -> list[str]:
    """To train the folds of the job.

    Args:
        session: With its job.
        folds_csv: The fold file.
        n_folds: How many folds are asked for.
        seconds: That are left.
        config: The content of the recipe.
    """
    job = session.job
    options: dict[str, object] = {
        "config": job.config,
        "fold": job.folds,
        "run_dir": session.run_dir,
        "data.data_dir": session.data_dir,
        "data.folds_csv": folds_csv,
        "time_budget": f"{seconds}s",
        "disk_budget": _disk_budget(session),
    }
    if job.machine.kind == "cuda" and n_folds > 1:
        options["parallel_folds"] = job.machine.n_devices
    if job.machine.kind == "tpu":
        options |= {"trainer.accelerator": "tpu", "trainer.devices": job.machine.n_devices}
    return [
        "scripts/train_folds.py",
        *_options(options),
        *job.overrides,
        *_options(_moved(session, config)),
    ]


def predict_command(session: Session, run_dir: Path, overwrite: bool) -> list[str]:
    """To predict the test photographs with the folds of the job.

    Args:
        session: With its job.
        run_dir: Of the trained folds.
        overwrite: Whether they have predicted other photographs before.
    """
    options = {
        "run_dir": run_dir,
        "data_dir": session.data_dir,
        "fold": session.job.folds,
        # The run may have been trained on another kind of machine.
        "accelerator": _LIGHTNING[session.job.machine.kind],
    }
    return [
        "scripts/predict_folds.py",
        *_options(options),
        *(["--overwrite"] if overwrite else []),
    ]


def submission_command(
    session: Session, run_dirs: Sequence[Path], out_dir: Path, folds_are_missing: bool
) -> list[str]:
    """To blend runs."""
    options = {"method": session.job.method, "data_dir": session.data_dir, "out_dir": out_dir}
    return [
        "scripts/build_submission.py",
        "--run_dir",
        *map(str, run_dirs),
        *_options(options),
        *(["--allow_missing_folds"] if folds_are_missing else []),
    ]


def setting(config: dict[str, Any], overrides: Sequence[str], name: str) -> object:
    """A setting of a recipe, or what the overrides make of it.

    >>> setting({"data": {"cache": "a"}}, [], "data.cache")
    'a'
    >>> setting({"data": {"cache": "a"}}, ["--data.cache=b", "--data.cache", "c"], "data.cache")
    'c'
    """
    value: Any = config
    for part in name.split("."):
        value = value.get(part) if isinstance(value, dict) else None
    for place, word in enumerate(overrides):
        option, equals, given = word.partition("=")
        if option.replace("-", "_") == f"--{name}".replace("-", "_"):
            value = given if equals else "".join(overrides[place + 1 : place + 2])
    return value


def _moved(session: Session, config: dict[str, Any]) -> dict[str, object]:
    """Settings that name a file or folder of another machine: where that is in this one."""
    moved: dict[str, object] = {}
    weights = setting(config, session.job.overrides, "model.weights")
    if weights not in (None, *_NO_FILES) and Path(str(weights)).name in session.job.weights:
        moved["model.weights"] = session.scratch / "weights" / Path(str(weights)).name
    if setting(config, session.job.overrides, "data.cache") not in (None, "null", ""):
        moved["data.cache"] = session.scratch / "cache"
    return moved


def _disk_budget(session: Session) -> str:
    free = shutil.disk_usage(session.working).free
    return str(int(min(_DISK_BUDGET, _DISK_SHARE * free)))


def _options(options: dict[str, Any]) -> list[str]:
    return [f"--{name}={value}" for name, value in options.items()]
