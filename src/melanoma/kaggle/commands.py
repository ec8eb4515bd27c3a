"""The command lines of a kernel's steps."""

import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from melanoma.kaggle.session import Session

# Of the 19.5 GB that Kaggle keeps; and where less is free, of that.
_DISK_BUDGET = 18_000_000_000
_DISK_SHARE = 0.9
# As Lightning names the kinds of machines.
_LIGHTNING = {"cpu": "cpu", "cuda": "gpu", "tpu": "tpu"}
_NO_FILES = ("none", "imagenet")


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
