"""Training the folds of a run, one process each, one after the other."""

import os
import subprocess
import sys
from pathlib import Path

import melanoma
from melanoma.errors import ConfigError, RunError, name_some
from melanoma.files import sha256_of
from melanoma.folds.files import read_folds
from melanoma.run_folder import RunFolder
from melanoma.tables import FOLD, train_csv
from melanoma.training.config import RunConfig

ALL_FOLDS = "all"


def train_folds(config: RunConfig) -> Path:
    """Check everything, then train the folds asked for that are not finished.

    Folds never share a process: Lightning's launchers run the script again for each further
    device, which would repeat a loop over folds, and a device left in a bad state ends with it.

    Returns:
        The run folder.

    Raises:
        MelanomaError: If tables, photographs or settings cannot be used, the run folder holds
            another configuration or other folds, or the process of a fold fails.
    """
    run = RunFolder(config.run_dir)
    asked = _parse_folds(config)
    config.module()
    data = config.data_module(asked[0])
    data.prepare_data()
    finished = run.finished_folds()
    kept = [fold for fold in finished if not (config.overwrite and fold in asked)]
    _check_same_tables(run, kept, config)
    run.take_config(config.resolved, replaceable=config.overwrite and not kept)
    for fold in asked:
        if fold in kept:
            print(f"fold {fold} is finished and skipped; --overwrite repeats it", flush=True)
            continue
        if config.overwrite:
            run.fold(fold).clear()
        _train_in_own_process(run, fold, config.resume)
    return config.run_dir


def _parse_folds(config: RunConfig) -> list[int]:
    known = sorted(_folds_of(config))
    if config.folds == ALL_FOLDS:
        return known
    try:
        asked = [int(number) for number in config.folds.split(",")]
    except ValueError:
        raise ConfigError(
            f"--fold {config.folds}: not understood. Give a number (0), several (0,2), or all."
        ) from None
    unknown = [fold for fold in asked if fold not in known]
    if unknown:
        raise ConfigError(
            f"--fold {config.folds}: {config.data['folds_csv']} has no fold {name_some(unknown)}, "
            f"but {name_some(known)}."
        )
    return list(dict.fromkeys(asked))


def _folds_of(config: RunConfig) -> set[int]:
    data = config.data
    return set(
        read_folds(Path(data["folds_csv"]), Path(data["data_dir"]), data["fold_column"])[FOLD]
    )


def _check_same_tables(run: RunFolder, finished: list[int], config: RunConfig) -> None:
    tables = {
        "train_sha256": train_csv(Path(config.data["data_dir"])),
        "folds_sha256": Path(config.data["folds_csv"]),
    }
    for fold in finished:
        done = run.fold(fold).read_done()
        for name, path in tables.items():
            if done.get(name) != sha256_of(path):
                raise RunError(
                    f"{run.path}: fold {fold} was trained on another {path.name} than {path} is now. "
                    "Choose another --run_dir, or repeat its folds with --fold all --overwrite."
                )


def _train_in_own_process(run: RunFolder, fold: int, resume: bool) -> None:
    source = str(Path(melanoma.__file__).parents[1])
    paths = [source, *filter(None, [os.environ.get("PYTHONPATH")])]
    command = [
        *(sys.executable, "-m", "melanoma.training"),
        *("--config", str(run.config_yaml), "--fold", str(fold), f"--resume={str(resume).lower()}"),
    ]
    finished = subprocess.run(
        command, env={**os.environ, "PYTHONPATH": os.pathsep.join(paths)}, check=False
    )
    if finished.returncode != 0:
        raise RunError(
            f"fold {fold} stopped with exit code {finished.returncode}; the reason is above. What is "
            f"finished stays in {run.path}; the same command goes on from there."
        )
