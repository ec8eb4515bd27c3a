"""Runs, fold files and weights among what is attached to a kernel, known by what they are called."""

import filecmp
import shutil
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from pathlib import Path

from melanoma.errors import ConfigError, name_some
from melanoma.kaggle.job import Job
from melanoma.kaggle.mounts import Folder, Mounts


@dataclass(frozen=True)
class AttachedRun:
    """A run, or a part of one, that an earlier kernel has left.

    Attributes:
        name: Of its folder.
        path: Of its folder.
    """

    name: str
    path: Path


def find_runs(mounts: Mounts, job: Job) -> list[AttachedRun]:
    """The runs that a job goes on from: one, perhaps in several parts, except to blend several.

    Raises:
        ConfigError: If there is none where one is needed, or a source has none.
    """
    found = [AttachedRun(f.path.name, f.path) for f in mounts.folders if _is_run(f)]
    needed = job.resume or job.mode != "train"
    missing = [s for s in job.runs if needed and not _has_one(mounts, s, found)]
    if missing:
        raise ConfigError(
            f"{name_some(missing)}: no run in there (a folder with config.yaml and tables.json). "
            f"Attached: {mounts.as_text()}. Wait until that kernel is complete, or leave it out."
        )
    if job.mode != "ensemble":
        found = _of_this_run(found, job)
    if needed and not found:
        purpose = {"train": "go on with", "predict": "predict with", "ensemble": "blend"}[job.mode]
        raise ConfigError(
            f"no run {'' if job.mode == 'ensemble' else job.run + ' '}to {purpose}. Attached: "
            f"{mounts.as_text()}. Name the kernels that trained it when you push, and wait until they "
            "are complete."
        )
    return found


def find_fold_files(mounts: Mounts) -> list[Path]:
    """Tables that may be fold files, by their names; their checksums tell which one is meant."""
    return mounts.files(
        lambda path: path.suffix == ".csv" and "fold" in f"{path.parent.name}{path.name}"
    )


def find_weights(mounts: Mounts, names: Collection[str]) -> dict[str, Path]:
    """Find files of weights by their names.

    Raises:
        ConfigError: If one is missing, or there are several of one name that differ.
    """
    listed = mounts.files(lambda path: path.name in names)
    found = {name: [path for path in listed if path.name == name] for name in names}
    missing = [name for name, paths in found.items() if not paths]
    if missing:
        raise ConfigError(
            f"weights {name_some(missing)}: no file of that name is attached. Attached: "
            f"{mounts.as_text()}. Upload it with scripts/push_kernel.py wheels, and push again."
        )
    for name, paths in found.items():
        if not all(filecmp.cmp(paths[0], path, shallow=False) for path in paths[1:]):
            raise ConfigError(
                f"weights {name}: there are several, and they differ: {name_some(paths)}. Attach only "
                "one of them."
            )
    return {name: paths[0] for name, paths in found.items()}


def copy_weights(found: dict[str, Path], folder: Path) -> None:
    """Copy weights to where every session has them: their path is one of a run's settings."""
    for name, path in found.items():
        folder.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(path, folder / name)


def _is_run(folder: Folder) -> bool:
    return folder.has("config.yaml") and (folder.has("tables.json") or folder.has("run.json"))


def _has_one(mounts: Mounts, source: str, runs: Sequence[AttachedRun]) -> bool:
    inside = {folder.path for folder in mounts.of(source)}
    return any(run.path in inside for run in runs)


def _of_this_run(found: list[AttachedRun], job: Job) -> list[AttachedRun]:
    ours = [run for run in found if run.name == job.run]
    names = sorted({run.name for run in found})
    if ours or job.mode == "train" or not names:
        return ours
    if len(names) > 1:
        raise ConfigError(
            f"no run {job.run}, but {name_some(names)}. Say which with --run when you push."
        )
    return found  # the only run there is: a dataset is named as its owner likes
