"""The configuration of a run: the signatures of the data module, the module and the Trainer."""

from argparse import SUPPRESS
from dataclasses import asdict, dataclass
from functools import cache
from pathlib import Path
from typing import Any, Literal

import lightning.pytorch as pl
import yaml
from jsonargparse import ArgumentParser, Namespace

from melanoma.command_line import parse_bytes, parse_duration
from melanoma.errors import ConfigError, name_some
from melanoma.images.datamodule import MelanomaDataModule
from melanoma.models.module import MelanomaModule
from melanoma.remote.address import address_of
from melanoma.remote.opening import local_folder
from melanoma.run_folder import LAST, PREDICT_FROM, RUNS, RunFolder
from melanoma.training.cluster.options import (
    OPTIONS,
    ClusterOptions,
    add_cluster_options,
    check_with_others,
    cluster_options,
)
from melanoma.training.loggers import parse_loggers

# Arguments that follow from others, and are not settings of their own.
_OF_THE_RUN = {"fold", "seed", "image_size_px", "metadata_statistics"}
_OF_THE_RUN |= {"with_diagnoses", "with_metadata"}

# What one call is asked to do, as opposed to what the run is: not part of config.yaml.
_CALL_OPTIONS = ["config", "fold", "overwrite", "find_lr", "find_batch_size", "parallel_folds"]
_CALL_OPTIONS += ["allow_leaks", "time_budget", "deadline", "disk_budget", *OPTIONS]


PredictFrom = Literal["last", "best"]


@dataclass(frozen=True)
class RunConfig:
    """What `train_folds.py` was asked to do.

    Attributes:
        folds: `all`, or fold numbers as typed: `0`, `0,2`.
        run_dir: Where everything is written.
        seed: Of the network's first weights, the order and the augmentation.
        resume: Whether an interrupted fold goes on from its last checkpoint.
        overwrite: Whether finished folds are repeated.
        allow_leaks: Whether folds are trained that validate patients whom they are trained on.
        early_stopping_patience: Epochs without a better AUC after which a fold stops; None for no
            early stopping.
        predict_from: `last` or `best`: the epoch whose network predicts validation and test images.
        top_k: How many of the best checkpoints are kept.
        logger: `csv`, `tensorboard`, `wandb`, several separated by commas.
        photographs: How many validation photographs are drawn after each epoch; 0 for none.
        find_lr: Whether a learning rate is looked for instead of training.
        find_batch_size: Whether the largest batch that fits is looked for instead of training.
        time_budget_s: Seconds that the whole call may take; None for no limit.
        deadline: When a fold has to have stopped, by `time.monotonic()`, which all processes of a
            machine share; None for never. Set by the launcher.
        checkpoint_every_n_steps: Steps between checkpoints within an epoch; None for none.
        parallel_folds: How many folds are trained side by side; None for what is best here.
        disk_budget: Bytes that the run folder may take; None for no limit.
        cluster: Where folds are trained: on this machine, or on those of a cluster.
        data, model, trainer: Arguments of MelanomaDataModule, MelanomaModule and Trainer.
        resolved: All of it that makes the run, as YAML.
    """

    folds: str
    run_dir: Path
    seed: int
    resume: bool
    overwrite: bool
    allow_leaks: bool
    early_stopping_patience: int | None
    predict_from: PredictFrom
    top_k: int
    logger: str
    photographs: int
    find_lr: bool
    find_batch_size: bool
    time_budget_s: float | None
    deadline: float | None
    checkpoint_every_n_steps: int | None
    parallel_folds: int | None
    disk_budget: int | None
    cluster: ClusterOptions
    data: dict[str, Any]
    model: dict[str, Any]
    trainer: dict[str, Any]
    resolved: str

    @property
    def data_address(self) -> str | None:
        """Of the competition folder as it was given; None for a folder of this machine."""
        return address_of(str(yaml.safe_load(self.resolved)["data"]["data_dir"]))

    def data_module(self, fold: int) -> MelanomaDataModule:
        """The data module of one fold."""
        return MelanomaDataModule(
            **self.data,
            fold=fold,
            seed=self.seed,
            with_diagnoses=self.model["target"] == "diagnosis",
            with_metadata=self.model["metadata"],
        )

    def module(self, data: MelanomaDataModule) -> MelanomaModule:
        """The untrained module, for a data module that is set up."""
        statistics = data.metadata_statistics
        return MelanomaModule(
            **self.model,
            image_size_px=data.image_size,
            metadata_statistics=asdict(statistics) if statistics else None,
            seed=self.seed,
        )


@cache
def config_parser() -> ArgumentParser:
    """The parser of everything that `train_folds.py` understands; it takes a quarter of a second."""
    parser = ArgumentParser(
        allow_abbrev=False,  # a misspelt option must not pass for another's beginning
        description="Train the folds of a cross-validation, each in a process of its own.",
    )
    parser.add_argument("--config", action="config", help="YAML file of settings, see configs/")
    parser.add_argument("--fold", type=str, default="0", help="fold to train: 0, or 0,2, or all")
    parser.add_argument(
        "--run_dir",
        type=str | None,
        default=None,
        help="where to write; default runs/<config name>",
    )
    parser.add_argument("--seed", type=int, default=42, help="seed of all that is random")
    parser.add_argument(
        "--resume", type=bool, default=True, help="go on with an interrupted fold where it stopped"
    )
    parser.add_argument("--overwrite", action="store_true", help="repeat folds that are finished")
    parser.add_argument(
        "--allow_leaks",
        action="store_true",
        help="train with folds that have a patient on both sides, which flatters the score",
    )
    parser.add_argument(
        "--early_stopping_patience",
        type=int | None,
        default=None,
        help="stop a fold after so many epochs without a better AUC; default: never",
    )
    parser.add_argument(
        "--predict_from",
        type=PredictFrom | None,
        default=None,
        help="epoch that predicts: last, or best, whose own score is flattering; default: last",
    )
    parser.add_argument("--top_k", type=int, default=1, help="how many best checkpoints to keep")
    parser.add_argument(
        "--logger",
        type=str,
        default="csv,tensorboard",
        help="csv, tensorboard, wandb (offline by default)",
    )
    parser.add_argument(
        "--photographs", type=int, default=16, help="validation photographs drawn each epoch"
    )
    parser.add_argument(
        "--find_lr", action="store_true", help="suggest a learning rate instead of training"
    )
    parser.add_argument(
        "--find_batch_size",
        action="store_true",
        help="suggest the largest --data.batch_size that fits instead of training",
    )
    parser.add_argument(
        "--time_budget",
        type=str | None,
        default=None,
        help="of the whole call, such as 8h30m, 45m or 90s: stops in time, and can be resumed",
    )
    parser.add_argument("--deadline", type=float | None, default=None, help=SUPPRESS)
    parser.add_argument(
        "--checkpoint_every_n_steps",
        type=int | None,
        default=None,
        help="write last.ckpt within epochs too; default: after each epoch",
    )
    parser.add_argument(
        "--parallel_folds",
        type=int | None,
        default=None,
        help="folds trained side by side, the GPUs and processor cores divided between them; "
        "default: two on a processor, else one",
    )
    parser.add_argument(
        "--disk_budget",
        type=str | None,
        default=None,
        help="what the run folder may take, such as 19.5GB; what is not needed is removed",
    )
    add_cluster_options(parser)
    parser.add_class_arguments(MelanomaDataModule, "data", skip=_OF_THE_RUN, instantiate=False)
    parser.add_class_arguments(MelanomaModule, "model", skip=_OF_THE_RUN, instantiate=False)
    parser.add_class_arguments(
        pl.Trainer, "trainer", instantiate=False, fail_untyped=False, sub_configs=True
    )
    return parser


def parse_config(arguments: list[str]) -> RunConfig:
    """Parse the command line of `train_folds.py`; exits with code 2 where it cannot be parsed.

    Raises:
        ConfigError: If settings contradict each other.
    """
    parser = config_parser()
    parsed = _parse(parser, arguments)
    run_dir = Path(parsed.run_dir) if parsed.run_dir else RUNS / _run_name(parsed)
    parsed.run_dir = str(run_dir)
    parsed.predict_from = parsed.predict_from or _default_predict_from(run_dir, parsed.overwrite)
    config = RunConfig(
        folds=parsed.fold,
        run_dir=run_dir,
        seed=parsed.seed,
        resume=parsed.resume,
        overwrite=parsed.overwrite,
        allow_leaks=parsed.allow_leaks,
        early_stopping_patience=parsed.early_stopping_patience,
        predict_from=parsed.predict_from,
        top_k=parsed.top_k,
        logger=parsed.logger,
        photographs=parsed.photographs,
        find_lr=parsed.find_lr,
        find_batch_size=parsed.find_batch_size,
        time_budget_s=parse_duration(parsed.time_budget) if parsed.time_budget else None,
        deadline=parsed.deadline,
        checkpoint_every_n_steps=parsed.checkpoint_every_n_steps,
        parallel_folds=parsed.parallel_folds,
        disk_budget=_bytes_of(parsed.disk_budget),
        cluster=cluster_options(vars(parsed)),
        data=_with_local_folder(parsed.data.as_dict()),
        model=parsed.model.as_dict(),
        trainer=dict(vars(parser.instantiate(parsed).trainer)),
        resolved=_resolved(parser, parsed),
    )
    _check_settings(config)
    return config


def _parse(parser: ArgumentParser, arguments: list[str]) -> Namespace:
    try:
        parsed = parser.parse_args(arguments)
    # The last two are the parser's own failings: at a recipe that names a recipe, and at one that is
    # nested without end.
    except (UnicodeDecodeError, AttributeError, RecursionError) as error:
        raise ConfigError(
            f"--config: no file of settings ({error}). Give a YAML file in UTF-8, see configs/."
        ) from error
    wrong = [n for n in ("data", "model", "trainer") if not isinstance(parsed[n], Namespace)]
    if wrong:
        raise ConfigError(
            f"--config: {', '.join(wrong)} holds no settings. Give some below it, or remove that line."
        )
    # The parser takes null for any option.
    unset = [
        name
        for name in _options_with_a_value()
        if parsed.get(name) is None and not name.startswith("trainer.")
    ]
    if unset:
        raise ConfigError(
            f"--config: {name_some(unset)} is null. Give a value, or remove that line."
        )
    return parsed


@cache
def _options_with_a_value() -> list[str]:
    """The options whose default is a value; looking for them takes a fifth of the time of parsing."""
    defaults = config_parser().get_defaults().items()
    return [name for name, default in defaults if default is not None]


def _with_local_folder(data: dict[str, Any]) -> dict[str, Any]:
    # `resolved` keeps the address: on another machine the mirror is elsewhere.
    folder = local_folder(data["data_dir"], data["data_cache"], data["data_cache_size"])
    return data if folder == Path(data["data_dir"]) else {**data, "data_dir": str(folder)}


def _bytes_of(disk_budget: str | None) -> int | None:
    return None if disk_budget is None else parse_bytes(disk_budget, "--disk_budget")


def _check_settings(config: RunConfig) -> None:
    patience = config.early_stopping_patience
    if patience is not None and patience < 1:
        raise ConfigError(f"--early_stopping_patience {patience}: must be at least 1.")
    if config.seed < 0:
        raise ConfigError(f"--seed {config.seed}: must not be negative.")
    if config.top_k < 1:
        raise ConfigError(f"--top_k {config.top_k}: must be at least 1.")
    if config.photographs < 0:
        raise ConfigError(f"--photographs {config.photographs}: must not be negative.")
    every = config.checkpoint_every_n_steps
    if every is not None and every < 1:
        raise ConfigError(f"--checkpoint_every_n_steps {every}: must be at least 1.")
    if config.parallel_folds is not None and config.parallel_folds < 1:
        raise ConfigError(f"--parallel_folds {config.parallel_folds}: must be at least 1.")
    check_with_others(config.cluster, config.parallel_folds, config.trainer)
    parse_loggers(config.logger)
    if config.trainer.get("enable_checkpointing") is False:
        raise ConfigError(
            "--trainer.enable_checkpointing false: predictions come from a checkpoint. "
            "Leave it on; for a trial without files use --trainer.fast_dev_run true."
        )
    if config.trainer.get("limit_val_batches") == 0:
        raise ConfigError(
            "--trainer.limit_val_batches 0: the best checkpoint is chosen by the validation AUC, "
            "so validation cannot be switched off. Give another number, or leave it out."
        )


def _default_predict_from(run_dir: Path, overwrite: bool) -> str:
    """The value that the run in this folder has; `last` for a new run."""
    run = RunFolder(run_dir)
    is_begun = run.config_yaml.is_file() and not overwrite
    return str(run.read_config()[PREDICT_FROM]) if is_begun else LAST


def _run_name(parsed: Namespace) -> str:
    if not parsed.config:
        raise ConfigError("no --config and no --run_dir: say which recipe to train, or where to.")
    return Path(str(parsed.config[-1])).stem


def _resolved(parser: ArgumentParser, parsed: Namespace) -> str:
    settings = parsed.clone()
    for option in _CALL_OPTIONS:
        settings.pop(option, None)
    return str(parser.dump(settings, skip_unset=False, skip_validation=True))
