"""What a user says of a kernel, by script or in the notebook, and the job that follows from it.

The job is written beside the code when a kernel is built, and read when it starts. Nothing but the
standard library is imported: packages may be missing then.
"""

import json
import re
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, fields, replace
from pathlib import Path, PurePath
from typing import Any, Literal, get_args

import melanoma
from melanoma.command_line import parse_duration, with_underscores
from melanoma.errors import ConfigError, name_some, suggest

Mode = Literal["train", "predict", "ensemble"]
COMPETITION = "siim-isic-melanoma-classification"
# What prediction, submission and the end of the session are left, beyond the time budget.
MARGIN_S = 1800
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
_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]*/[a-z0-9]+(-[a-z0-9]+)*")
_MODEL = re.compile(r"[^/\s]+/[^/\s]+/[^/\s]+/[^/\s]+/\d+")
# kaggle 2.2.5, `kernels_push`, asks for five; Kaggle's form in the browser takes fifty.
_SHORTEST, _LONGEST = 5, 50


@dataclass(frozen=True)
class Accelerator:
    """A kind of machine that Kaggle lends.

    Attributes:
        name: As users give it.
        machine_shape: As Kaggle's API has it (kaggle 2.2.5, `kernels push --help`); empty for none.
        kind: cpu, cuda or tpu.
        n_devices: How many GPUs or TPU cores it has.
        session_s: How long a session may last, in seconds.
    """

    name: str
    machine_shape: str
    kind: Literal["cpu", "cuda", "tpu"]
    n_devices: int
    session_s: int


# A P100 is not offered any more, and a single T4 never was.
ACCELERATORS = {
    known.name: known
    for known in (
        Accelerator("cpu", "", "cpu", 0, 12 * 3600),
        Accelerator("t4x2", "NvidiaTeslaT4", "cuda", 2, 12 * 3600),
        Accelerator("tpu", "TpuV5E8", "tpu", 8, 9 * 3600),
    )
}


@dataclass(frozen=True)
class Requirement:
    """A package that the kernel needs.

    Attributes:
        name: Of the distribution, as on PyPI.
        version: What is installed where the image has none that fits; empty for the newest of the
            specifier.
        specifier: Which versions will do, such as `>=2.8`; empty for any.
    """

    name: str
    version: str
    specifier: str = ""


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

    @property
    def run_name(self) -> str:
        """What the run is called, also where the user has not said."""
        return self.run or _RUNS.get(self.mode) or PurePath(self.config or "").stem

    @property
    def machine(self) -> Accelerator:
        """The machine asked for."""
        return ACCELERATORS[self.accelerator]

    @property
    def time_budget_s(self) -> int:
        """Seconds after its start at which the kernel has to have ended.

        Raises:
            ConfigError: If the budget is no duration.
        """
        if self.time_budget is None:
            return self.machine.session_s - MARGIN_S
        return int(parse_duration(self.time_budget))


@dataclass(frozen=True, kw_only=True)
class Job(JobSettings):
    """What a kernel is asked to do, with all that follows from the settings.

    The recipe is named by its path in the bundle, and `runs` holds the datasets as well.

    Attributes:
        folds_csv: The fold file, by its path in the bundle; empty to make it there.
        requirements: Packages, in the order in which they are installed.
        commit: Of the code, with a note where files differ from it; empty where it is not known.
    """

    folds_csv: str = ""
    requirements: tuple[Requirement, ...] = ()
    commit: str = ""

    def as_json(self) -> str:
        """For `job.json`; the same job gives the same text."""
        return json.dumps(asdict(self), indent=2, ensure_ascii=False) + "\n"


def parse_job(text: str) -> Job:
    """Read what `Job.as_json` has written.

    Raises:
        ConfigError: If it is no job.
    """
    try:
        content: dict[str, Any] = json.loads(text)
        lists = {name: tuple(value) for name, value in content.items() if isinstance(value, list)}
        requirements = tuple(Requirement(**known) for known in content["requirements"])
        return Job(**{**content, **lists, "requirements": requirements})
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        raise ConfigError(
            f"job.json: cannot be read ({error}). Build the kernel again with scripts/push_kernel.py."
        ) from error


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
    given = {field.name: getattr(settings, field.name) for field in fields(JobSettings)}
    config = settings.config
    resolved = {
        "config": f"configs/{PurePath(config).name}" if config else None,
        "overrides": tuple(with_underscores(settings.overrides)),
        "run": settings.run_name,
        "runs": (*settings.runs, *settings.run_datasets),
        "run_datasets": (),
        "weights": tuple(dict.fromkeys([*weights, *settings.weights])),
    }
    own = {"folds_csv": folds_csv, "requirements": tuple(requirements), "commit": commit}
    return Job(**given | resolved | own)


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
    _check_form("--run", settings.run_name, _RUN, "letters, digits, points, hyphens, underscores")
    if settings.competition:
        form = "its slug, such as siim-isic-melanoma-classification"
        _check_form("--competition", settings.competition, _COMPETITION, form)
    check_sources("--data", [settings.data] if settings.data else [])
    check_sources("--runs", settings.runs)
    check_sources("--run-datasets", settings.run_datasets)
    longest = settings.machine.session_s
    if settings.time_budget_s > longest:
        raise ConfigError(
            f"--time_budget {settings.time_budget}: a session on {settings.accelerator} lasts "
            f"{longest // 3600} hours at most. Give less, or leave it out."
        )
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


@dataclass(frozen=True, kw_only=True)
class KernelOptions(JobSettings):
    """What is built.

    Attributes:
        id: of the kernel, owner/slug: your name on Kaggle, and lower-case letters, digits and hyphens
        title: of the kernel; by default the slug with spaces, as Kaggle makes the slug from the title
        private: whether only you see the kernel
        folds_csv: fold file to send along; by default the recipe's, if it is there
        datasets: further datasets to attach, owner/slug each: wheels, weights
        models: models of Kaggle to attach, owner/model/framework/variation/version each
        one_kernel_per_fold: build a kernel for each fold, called <slug>-fold-<k>
        allow_secrets: names of finds that are no secrets, as the message that stopped a build has them
        output_dir: a folder is written in it per kernel
    """

    id: str
    title: str | None = None
    private: bool = True
    folds_csv: Path | None = None
    datasets: tuple[str, ...] = ()
    models: tuple[str, ...] = ()
    one_kernel_per_fold: bool = False
    allow_secrets: tuple[str, ...] = ()
    output_dir: Path = Path("build/kernel")

    @property
    def slug(self) -> str:
        """The kernel's name among those of its owner."""
        return self.id.rpartition("/")[2]

    @property
    def full_title(self) -> str:
        """The kernel's title."""
        return self.title or self.slug.replace("-", " ")

    def of_fold(self, fold: int) -> "KernelOptions":
        """The options of the kernel of one fold."""
        return replace(
            self,
            id=f"{self.id}-fold-{fold}",
            title=f"{self.full_title} fold {fold}",
            fold=str(fold),
            one_kernel_per_fold=False,
        )


def check_options(options: KernelOptions) -> None:
    """Check everything that can be checked without looking anywhere.

    Raises:
        ConfigError: In the words of the option.
    """
    check_settings(options)
    _check_id(options)
    _check_title(options)
    check_sources("--datasets", options.datasets)
    wrong = [model for model in options.models if not _MODEL.fullmatch(model)]
    if wrong:
        raise ConfigError(
            f"--models {name_some(wrong)}: not understood. Give "
            "owner/model/framework/variation/version, the version as a number."
        )
    if options.mode != "train" and (options.folds_csv or options.one_kernel_per_fold):
        option = "--folds-csv" if options.folds_csv else "--one-kernel-per-fold"
        raise ConfigError(f"{option}: belongs to --mode train. Leave it out.")
    if options.folds_csv and not options.folds_csv.is_file():
        raise ConfigError(
            f"--folds-csv {options.folds_csv}: no such file. Make it with scripts/create_folds.py, or "
            "leave the option out to have the folds made in the kernel."
        )


def _check_id(options: KernelOptions) -> None:
    if not _ID.fullmatch(options.id):
        raise ConfigError(
            f"--id {options.id}: not understood. Give owner/slug: your name on Kaggle, and a name of "
            "lower-case letters, digits and single hyphens, such as me/melanoma-baseline."
        )
    _check_length("--id", options.id, options.slug)


def _check_title(options: KernelOptions) -> None:
    title = options.full_title
    _check_length("--title", title, title)
    slug = "-".join(re.findall(r"[a-z0-9]+", title.lower()))
    if slug != options.slug:
        raise ConfigError(
            f"--title {title}: Kaggle would call the kernel {slug}, which is not the slug of --id "
            f"{options.id}, and its state could not be followed. Make one fit the other, or leave the "
            "title out."
        )


def _check_length(option: str, given: str, text: str) -> None:
    if not _SHORTEST <= len(text) <= _LONGEST:
        raise ConfigError(
            f"{option} {given}: {text} has {len(text)} characters; Kaggle takes {_SHORTEST} to "
            f"{_LONGEST}. Choose another."
        )


def project_root() -> Path:
    """The folder with `src`, `scripts` and `configs`."""
    return Path(melanoma.__file__).resolve().parents[2]


def project_file(name: str, root: Path | None = None) -> Path:
    """A file of the project.

    Args:
        name: Its path in the project.
        root: Of the project; by default the one that this module lies in.

    Raises:
        ConfigError: If it is not there.
    """
    path = (root or project_root()) / name
    if not path.is_file():
        raise ConfigError(
            f"{path}: no such file. A kernel is built from a clone of the project: run the script "
            "that lies in it."
        )
    return path
