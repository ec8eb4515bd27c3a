"""What a kernel runs first: is everything there that its job needs? `python -m` it, with a job.json.

Within seconds, and before any package is installed: this module and what it imports need nothing but
the standard library. What comes afterwards is `melanoma.kaggle.work`.
"""

import importlib
import json
import os
import platform
import sys
from argparse import ArgumentParser
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import melanoma
from melanoma.command_line import STARTED, script
from melanoma.errors import ConfigError, MelanomaError
from melanoma.kaggle.inputs import (
    AttachedRun,
    Data,
    Mounts,
    copy_weights,
    find_data,
    find_fold_files,
    find_runs,
    find_weights,
    list_mounts,
)
from melanoma.kaggle.job import Job, parse_job
from melanoma.kaggle.machine import Machine, Places, check_machine, find_places, look_at_machine
from melanoma.kaggle.packages import Plan, found_version, install, plan_packages, plans_as_text
from melanoma.kaggle.steps import Session

_SHOWN_PACKAGES = (
    *("torch", "torchvision", "torch_xla", "lightning", "pytorch-lightning", "timm"),
    *("albumentations", "opencv-python-headless", "numpy", "pandas"),
)
# Written when Kaggle's images are built (Dockerfile of Kaggle/docker-python).
_IMAGE_DATE = Path("/etc/build_date")
# Kaggle's TPU image sets it to "local", for a single process: several then find no port for each
# other ("Could not find SliceBuilder port", Lightning issue 19313).
_IN_THE_WAY = {"tpu": ("TPU_PROCESS_ADDRESSES",)}

_T = TypeVar("_T")


@dataclass(frozen=True)
class _Inventory:
    """Everything a job needs, found."""

    mounts: Mounts
    data: Data
    runs: list[AttachedRun]
    weights: dict[str, Path]
    plans: list[Plan]


@script
def main(arguments: list[str]) -> None:
    """Check, install, and go on with `melanoma.kaggle.work`."""
    parser = ArgumentParser(description=__doc__, allow_abbrev=False)
    parser.add_argument("job_json", type=Path, help="in the folder with src/ and scripts/")
    job_json = parser.parse_args(arguments).job_json.resolve()
    job = parse_job(job_json.read_text(encoding="utf-8"))
    places = find_places()
    machine = look_at_machine()
    _say(job, places, machine)
    inventory = _take_inventory(job, job_json.parent, places, machine)
    install(inventory.plans, places.packages)
    copy_weights(inventory.weights, places.weights)
    os.environ.update(environment(job, places))
    for name in _IN_THE_WAY.get(job.machine.kind, ()):
        os.environ.pop(name, None)
    sys.path.insert(0, str(places.packages))
    importlib.invalidate_caches()
    from melanoma.kaggle.work import do  # not before: it needs packages

    do(_session(job, job_json.parent, places, inventory))


def environment(job: Job, places: Places) -> dict[str, str]:
    """The variables of everything that runs once packages are there."""
    source = str(Path(melanoma.__file__).parents[1])
    paths = [str(places.packages), source, os.environ.get("PYTHONPATH", "")]
    weights = {"MELANOMA_WEIGHTS": str(places.weights)} if job.weights else {}
    return {
        "PYTHONPATH": os.pathsep.join(dict.fromkeys(filter(None, paths))),
        "PYTHONUNBUFFERED": "1",  # the log is watched while it is written
        "NO_ALBUMENTATIONS_UPDATE": "1",  # no question to the internet
        **weights,
    }


def _say(job: Job, places: Places, machine: Machine) -> None:
    what = f"{job.mode} {job.run_name}" + (f", fold {job.folds}" if job.mode != "ensemble" else "")
    versions = ((name, found_version(name)) for name in _SHOWN_PACKAGES)
    image = [f"python {platform.python_version()}", *(f"{n} {v}" for n, v in versions if v)]
    if _IMAGE_DATE.is_file():
        image.append(f"built {_IMAGE_DATE.read_text(encoding='utf-8').strip()}")
    lines = [
        f"{what}, commit {job.commit or 'unknown'}",
        f"machine: {machine.as_text()}, {os.cpu_count()} cores; wanted: {job.accelerator}",
        f"image: {', '.join(image)}",
        places.as_text(),
        f"time: {job.time_budget_s // 3600} h {job.time_budget_s % 3600 // 60} min in all",
    ]
    print(*lines, sep="\n", flush=True)


def _take_inventory(job: Job, bundle: Path, places: Places, machine: Machine) -> _Inventory:
    """Find everything, or say at once all that is missing: a push costs minutes.

    Raises:
        ConfigError: If anything is.
    """
    problems: list[str] = []

    def found(find: Callable[[], _T], otherwise: _T) -> _T:
        try:
            return find()
        except MelanomaError as error:
            problems.append(str(error))
            return otherwise

    found(lambda: check_machine(job.machine, machine), None)
    found(places.check_space, None)
    mounts = found(lambda: list_mounts(places.input), Mounts(places.input, ()))
    print(f"attached: {mounts.as_text()}", flush=True)
    runs = found(lambda: find_runs(mounts, job), list[AttachedRun]())
    data = found(lambda: _find_data(job, bundle, mounts, runs), Data(places.input, None))
    weights = found(lambda: find_weights(mounts, job.weights), dict[str, Path]())
    plans = found(lambda: plan_packages(job.requirements, mounts, job.internet), list[Plan]())
    if problems:
        raise ConfigError("\n       ".join(problems))
    inventory = _Inventory(mounts, data, runs, weights, plans)
    print(*_lines(inventory), sep="\n", flush=True)
    return inventory


def _find_data(job: Job, bundle: Path, mounts: Mounts, runs: list[AttachedRun]) -> Data:
    sha256 = ""
    if job.folds_csv:
        sha256 = _value_in((bundle / job.folds_csv).with_suffix(".json"), "train_sha256")
    elif runs:
        sha256 = _value_in(runs[0].path / "tables.json", "train.csv")
    return find_data(mounts, job.competition, job.data or "", sha256, job.mode != "ensemble")


def _value_in(path: Path, key: str) -> str:
    """A text in a JSON file; empty where there is no such file: it only helps to choose."""
    if not path.is_file():
        return ""
    try:
        return str(json.loads(path.read_text(encoding="utf-8")).get(key, ""))
    except (ValueError, AttributeError) as error:
        raise ConfigError(f"{path}: not readable as JSON ({error}). Push again.") from error


def _lines(inventory: _Inventory) -> list[str]:
    return [
        inventory.data.as_text(),
        *(f"run {run.name}: {run.path}" for run in inventory.runs),
        *(f"weights {name}: {path}" for name, path in inventory.weights.items()),
        *([plans_as_text(inventory.plans)] if inventory.plans else []),
    ]


def _session(job: Job, bundle: Path, places: Places, inventory: _Inventory) -> Session:
    return Session(
        job=job,
        bundle=bundle,
        working=places.working,
        scratch=places.scratch,
        data_dir=inventory.data.as_folder(places.scratch),
        runs=tuple(inventory.runs),
        fold_files=tuple(find_fold_files(inventory.mounts)),
        deadline=STARTED + job.time_budget_s,
    )


if __name__ == "__main__":
    sys.exit(main())
