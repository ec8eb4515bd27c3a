"""What the ready notebook (kaggle_kernel/notebook.ipynb) calls: the job of its settings, and its run.

Nothing but the standard library is imported: packages are installed by what is run here.
"""

import os
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import fields
from pathlib import Path
from typing import Any

from melanoma.children import Child
from melanoma.errors import ConfigError, RunError, suggest
from melanoma.kaggle.job import JobSettings, fill_job
from melanoma.kaggle.packages import read_requirements

_FOLDS = "folds/folds.csv"
_LISTS = ("overrides", "runs", "run_datasets", "weights")


def write_job(bundle: Path, settings: Mapping[str, Any]) -> Path:
    """Write the job that settings ask for beside the code.

    Args:
        bundle: The project's files; of its folds/folds.csv the folds are taken, if it is there.
        settings: Fields of `JobSettings`, by their names.

    Returns:
        The job.json.

    Raises:
        ConfigError: If settings are wrong, or there is no such recipe.
    """
    known = [field.name for field in fields(JobSettings)]
    for name in settings:
        if name not in known:
            raise ConfigError(
                f"{name}: no such setting.{suggest(name, known)} There are {', '.join(known)}."
            )
    given: dict[str, Any] = {k: tuple(v) if k in _LISTS else v for k, v in settings.items()}
    chosen = JobSettings(**given)
    folds_csv = _FOLDS if chosen.mode == "train" and (bundle / _FOLDS).is_file() else ""
    job = fill_job(chosen, folds_csv, (), read_requirements(chosen.mode, bundle))
    if job.config and not (bundle / job.config).is_file():
        there = sorted(path.name for path in (bundle / "configs").glob("*.yaml"))
        raise ConfigError(f"{job.config}: no such recipe. There are {', '.join(there)}.")
    path = bundle / "job.json"
    path.write_text(job.as_json(), encoding="utf-8")
    return path


def run_job(job_json: Path) -> None:
    """Run a job to its end, its lines printed as they come: a notebook shows no other output.

    Raises:
        RunError: If it fails.
    """
    paths = [str(job_json.parent / "src"), os.environ.get("PYTHONPATH", "")]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, paths))}
    command = [sys.executable, "-u", "-m", "melanoma.kaggle.kernel", str(job_json)]
    # Where the cell is interrupted, the job is waited for: it writes its checkpoints.
    with Child(
        command, None, output=subprocess.PIPE, errors=subprocess.STDOUT, env=environment
    ) as process:
        for line in process.stdout or ():
            print(line, end="", flush=True)
    if process.returncode:
        raise RunError(f"the job has ended with exit code {process.returncode}; see above.")
