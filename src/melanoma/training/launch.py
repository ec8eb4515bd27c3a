"""Training the folds of a run, one process each, one after the other."""

import os
import subprocess
import sys
from pathlib import Path

import melanoma
from melanoma.errors import ConfigError, RunError, name_some
from melanoma.files import sha256_of
from melanoma.folds.files import read_folds
from melanoma.models.backbones import check_backbone, check_image_size
from melanoma.models.weights import check_weights
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
    asked = parse_folds(config)
    check_inputs(config, asked[0])
    finished = run.finished_folds()
    kept = [fold for fold in finished if not (config.overwrite and fold in asked)]
    run.take(config.resolved, _hashes(config), replaceable=config.overwrite and not kept)
    for fold in asked:
        if fold in kept:
            print(f"fold {fold} is finished and skipped; --overwrite repeats it", flush=True)
            continue
        if config.overwrite:
            run.fold(fold).clear()
        _train_in_own_process(run, fold, config.resume)
    return config.run_dir


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


def parse_folds(config: RunConfig) -> list[int]:
    """The folds asked for, in that order, each once.

    Raises:
        ConfigError: If one does not exist, or the option is not understood.
    """
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


def _hashes(config: RunConfig) -> dict[str, str]:
    tables = [train_csv(Path(config.data["data_dir"])), Path(config.data["folds_csv"])]
    if config.data["external_csv"]:
        tables.append(Path(config.data["external_csv"]))
    names = ["train.csv", "the fold file", "the external table"]
    return {name: sha256_of(path) for name, path in zip(names, tables)}


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
