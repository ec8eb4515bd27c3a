"""What has to be in order before a run is trained: its folds, tables, photographs and settings."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from melanoma.errors import ConfigError, name_some
from melanoma.folds.files import read_folds
from melanoma.images.datamodule import MelanomaDataModule
from melanoma.locking import is_alone, is_first_process
from melanoma.models.acceleration import device_of
from melanoma.models.backbones import check_backbone, check_batch_of_one, check_image_size
from melanoma.models.weights import check_weights
from melanoma.run_folder import RunFolder
from melanoma.run_tables import hash_tables, tables_made_from
from melanoma.tables import FOLD
from melanoma.training.config import RunConfig
from melanoma.training.plan import check_plan
from melanoma.training.precision import check_sixteen_bits
from melanoma.training.rehearsal import rehearse
from melanoma.training.trainer import ONE_PROCESSOR, check_trainer
from melanoma.training.warm_start import check_warm_start

ALL_FOLDS = "all"
# What a Trainer is tried with where its own device is on another machine.
_HARMLESS = {**ONE_PROCESSOR, "precision": "32-true"}


def check_inputs(config: RunConfig, asked: Sequence[int]) -> None:
    """Check tables, photographs, settings and weights before anything is trained.

    Args:
        config: Of the run.
        asked: The folds that are to be trained.

    Prints what flatters a score but was asked for, or what cannot be known.

    Raises:
        MelanomaError: Naming what cannot be used.
    """
    check_backbone(config.model["backbone"])  # before the photographs, which take longer
    unknown = None
    if config.model["weights"] not in ("none", "imagenet"):
        tables = hash_tables(tables_of(config))
        unknown = check_warm_start(config.model["weights"], config.data, tables, asked)
    data = config.data_module(asked[0])
    data.prepare_data()
    data.setup()
    leaks = _leaks(data, asked)
    if leaks and not config.allow_leaks:
        raise ConfigError(
            f"{leaks} Make folds with scripts/create_folds.py, or train with them all the same with "
            "--allow-leaks."
        )
    module = config.module(data)
    module.create_optimizer()
    check_image_size(module.network.backbone, data.image_size)
    if data.batch_size == 1:
        check_batch_of_one(module.network.backbone, data.image_size)
    check_weights(config.model["weights"], config.model["backbone"])
    check_trainer(
        replace(config, trainer={**config.trainer, **_HARMLESS}) if is_elsewhere(config) else config
    )
    if not is_elsewhere(config):
        check_sixteen_bits(config.trainer, module.network.backbone, data.image_size)
    if not config.trainer.get("fast_dev_run"):
        check_plan(config.trainer, data, asked)
        if _is_rehearsed(config, asked):
            rehearse(config, data, module)
    for line in filter(None, (leaks, unknown)):
        if is_first_process():
            print(f"warning: {line}", flush=True)


def _is_rehearsed(config: RunConfig, asked: Sequence[int]) -> bool:
    """Whether a step is tried before: not where a call before, which did, has begun a fold.

    Nor where others wait for this process, and not for TPUs: torch counts the devices of a process
    at its first backward pass, before torch_xla has told it of its own.
    """
    run = RunFolder(config.run_dir)
    is_begun = any(run.fold(fold).is_begun for fold in asked)
    is_tpu = device_of(config.trainer.get("accelerator")) == "tpu"
    return is_alone() and not is_begun and not is_tpu


def _leaks(data: MelanomaDataModule, asked: Sequence[int]) -> str:
    found = {fold: data.leaking_patients[fold] for fold in asked if data.leaking_patients[fold]}
    if not found:
        return ""
    patients = sorted(set().union(*found.values()))
    return (
        f"{data.folds_csv}, {data.fold_column}: a leak: fold {name_some(found)} validates patients "
        f"that it is trained on ({name_some(patients)}), which flatters the score."
    )


def is_elsewhere(config: RunConfig) -> bool:
    """Whether the devices of a run are those of other machines, and need not be here."""
    return config.cluster.is_ray and config.trainer["accelerator"] in ("gpu", "cuda")


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


def tables_of(config: RunConfig) -> dict[str, Path]:
    """The tables that a run is made from, by what they are called in messages."""
    return tables_made_from(config.data, Path(config.data["data_dir"]))
