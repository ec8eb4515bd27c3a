"""What a user says of a kernel, by script or in the notebook, and the job that follows from it.

Nothing but the standard library is imported: the notebook fills its job before packages are there.
"""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import PurePath
from typing import get_args

from melanoma.command_line import parse_duration, with_underscores
from melanoma.errors import ConfigError, name_some, suggest
from melanoma.kaggle.job import ACCELERATORS, COMPETITION, MARGIN_S, Job, Mode, Requirement

_SOURCE = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]*/[a-z0-9][a-z0-9_-]*(/\d+)?")
_COMPETITION = re.compile(r"[a-z0-9][a-z0-9-]*")
_FOLDS = re.compile(r"all|\d+(,\d+)*")
_RUN = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]*")
# What a run is called that no recipe names.
_RUNS = {"predict": "predicted", "ensemble": "blend"}
# Options of scripts/train_folds.py that the kernel sets itself, and what is given instead.
_OF_THE_KERNEL = {
    "config": "--config",
    "fold": "--fold",
    "run_dir": "--run: the kernel writes to runs/<run>",
    "time_budget": "--time-budget",
    "data.data_dir": "--competition and --data: the kernel finds where they are",
    "data.folds_csv": "--folds-csv",
    "deadline": "--time-budget",
    "overwrite": "another --run, or push without --resume",
    "find_lr": "it to scripts/train_folds.py on a machine of your own",
    "find_batch_size": "it to scripts/train_folds.py on a machine of your own",
    "print_config": "it to scripts/train_folds.py on a machine of your own",
}


@dataclass(frozen=True, kw_only=True)
class JobSettings:
    """What a kernel is asked to do.

    Attributes:
        mode: train trains folds, predicts and builds a submission; predict uses folds trained by
            other kernels; ensemble blends runs of other kernels.
        config: the recipe, such as configs/baseline.yaml; with train only
        overrides: further options for scripts/train_folds.py, each written --name=value; with train
            only
        fold: which folds, as for scripts/train_folds.py: 0, or 0,2, or all; by default 0 to train, and
            all to predict with
        run: name of the run, written to runs/<run>; by default the recipe's name, predicted or blend
        accelerator: t4x2 (two GPUs), tpu (eight TPU cores) or cpu
        time_budget: after which the kernel has to have ended, such as 8h30m; by default half an hour
            less than a session on that machine may last
        internet: whether the kernel has it, to fetch packages and published weights
        competition: whose data are attached; its slug, or empty for none
        data: dataset of resized copies, owner/slug; by default the competition's photographs
        runs: kernels whose outputs are used, owner/slug each
        run_datasets: datasets that hold runs, owner/slug each
        resume: go on from what the last version of this very kernel has left
        method: of the blend, as for scripts/build_submission.py
        weights: names of files of weights in the datasets, beside those that follow from the recipe
    """

    mode: Mode = "train"
    config: str | None = None
    overrides: tuple[str, ...] = ()
    fold: str | None = None
    run: str | None = None
    accelerator: str = "t4x2"
    time_budget: str | None = None
    internet: bool = False
    competition: str = COMPETITION
    data: str | None = None
    runs: tuple[str, ...] = ()
    run_datasets: tuple[str, ...] = ()
    resume: bool = False
    method: str = "mean"
    weights: tuple[str, ...] = ()

    @property
    def folds(self) -> str:
        """The folds that are meant, also where the user has named none."""
        if self.fold is not None:
            return self.fold
        return "all" if self.mode == "predict" else "0"


def fill_job(
    settings: JobSettings,
    folds_csv: str = "",
    weights: Iterable[str] = (),
    requirements: Sequence[Requirement] = (),
    commit: str = "",
) -> Job:
    """The job that settings ask for.

    Args:
        settings: What the user said.
        folds_csv: The fold file, by its path in the bundle; empty to make it in the kernel.
        weights: Names of files that follow from the recipe.
        requirements: Packages it needs.
        commit: Of the code.

    Raises:
        ConfigError: If settings are wrong or contradict each other.
    """
    check_settings(settings)
    config = settings.config or ""
    return Job(
        mode=settings.mode,
        run=run_name(settings),
        config=f"configs/{PurePath(config).name}" if config else "",
        overrides=tuple(with_underscores(settings.overrides)),
        folds=settings.folds,
        folds_csv=folds_csv,
        accelerator=settings.accelerator,
        time_budget_s=_time_budget_s(settings),
        internet=settings.internet,
        competition=settings.competition,
        data=settings.data or "",
        runs=(*settings.runs, *settings.run_datasets),
        resume=settings.resume,
        method=settings.method,
        weights=tuple(dict.fromkeys([*weights, *settings.weights])),
        requirements=tuple(requirements),
        commit=commit,
    )


def run_name(settings: JobSettings) -> str:
    """What the run is called."""
    return settings.run or _RUNS.get(settings.mode) or PurePath(settings.config or "").stem


def check_settings(settings: JobSettings) -> None:
    """Check everything that can be checked without looking anywhere.

    Raises:
        ConfigError: In the words of the option.
    """
    _check_choice("--mode", settings.mode, get_args(Mode))
    _check_choice("--accelerator", settings.accelerator, list(ACCELERATORS))
    _check_mode(settings)
    _check_overrides(settings.overrides)
    _check_form("--fold", settings.folds, _FOLDS, "a number (0), several (0,2), or all")
    _check_form("--run", run_name(settings), _RUN, "letters, digits, points, hyphens, underscores")
    if settings.competition:
        form = "its slug, such as siim-isic-melanoma-classification"
        _check_form("--competition", settings.competition, _COMPETITION, form)
    check_sources("--data", [settings.data] if settings.data else [])
    check_sources("--runs", settings.runs)
    check_sources("--run-datasets", settings.run_datasets)
    _time_budget_s(settings)
    paths = [name for name in settings.weights if PurePath(name).name != name]
    if paths:
        raise ConfigError(
            f"--weights {name_some(paths)}: give the file's name alone; the kernel looks for it in "
            "what is attached."
        )


def check_sources(option: str, sources: Iterable[str]) -> None:
    """Check that sources are written as Kaggle names them.

    Raises:
        ConfigError: Naming those that are not.
    """
    wrong = [source for source in sources if not _SOURCE.fullmatch(source)]
    if wrong:
        raise ConfigError(
            f"{option} {name_some(wrong)}: not understood. Give owner/slug, as in the address of its "
            "page on Kaggle, without kaggle.com and what comes before the owner."
        )


def _check_mode(settings: JobSettings) -> None:
    mode = settings.mode
    if mode == "train" and not settings.config:
        raise ConfigError("--mode train: say which recipe with --config, such as baseline.yaml.")
    if mode == "train":
        return
    if settings.config or settings.overrides:
        given = f"--config {settings.config}" if settings.config else settings.overrides[0]
        raise ConfigError(
            f"--mode {mode}: trains nothing, so that {given} has no meaning; a run brings its own "
            "configuration. Leave it out."
        )
    if not settings.runs and not settings.run_datasets and not settings.resume:
        purpose = "predict with" if mode == "predict" else "blend"
        raise ConfigError(
            f"--mode {mode}: no run to {purpose}. Name the kernels that trained with --runs "
            "owner/slug, or datasets that hold runs with --run-datasets owner/slug."
        )


def _check_overrides(overrides: Iterable[str]) -> None:
    for word in with_underscores(list(overrides)):
        name = word.removeprefix("--").partition("=")[0]
        if word.startswith("--") and name in _OF_THE_KERNEL:
            raise ConfigError(
                f"{word}: the kernel sets this itself. Give {_OF_THE_KERNEL[name]} instead."
            )


def _check_choice(option: str, value: str, known: Sequence[str]) -> None:
    if value not in known:
        raise ConfigError(
            f"{option} {value}: not known. Choose one of {', '.join(known)}.{suggest(value, known)}"
        )


def _check_form(option: str, value: str, form: "re.Pattern[str]", description: str) -> None:
    if not form.fullmatch(value):
        raise ConfigError(f"{option} {value}: not understood. Give {description}.")


def _time_budget_s(settings: JobSettings) -> int:
    longest = ACCELERATORS[settings.accelerator].session_s
    if settings.time_budget is None:
        return longest - MARGIN_S
    seconds = int(parse_duration(settings.time_budget))
    if seconds > longest:
        raise ConfigError(
            f"--time_budget {settings.time_budget}: a session on {settings.accelerator} lasts "
            f"{longest // 3600} hours at most. Give less, or leave it out."
        )
    return seconds
