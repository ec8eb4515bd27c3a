"""Building kernels: a folder each with one self-extracting script and its kernel-metadata.json.

Every field of the metadata is written out. One that is left out is not simply absent: the client
sends `enable_internet` as true then (kaggle 2.2.4 and 2.2.5, `kernels_push`). The one exception is
`docker_image`: naming one would win over the machine, and a TPU would come without torch_xla
(kaggle-cli issue 1197).
"""

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from melanoma.errors import ConfigError
from melanoma.files import write_text
from melanoma.folds.files import description_path, read_fold_column
from melanoma.kaggle.bundle import Script, source_files, write_script
from melanoma.kaggle.guard import Tracked, check_no_secrets, look_up
from melanoma.kaggle.job import (
    Job,
    KernelOptions,
    check_options,
    fill_job,
    project_file,
    project_root,
)
from melanoma.kaggle.packages import packages_to_bring, read_requirements
from melanoma.kaggle.recipe import Recipe, resolve_recipe
from melanoma.models.attached import weights_name

METADATA = "kernel-metadata.json"
# Of the scheme by which scripts/create_folds.py makes folds unless it is told otherwise.
_DEFAULT_FOLDS = 5
_ON_KAGGLE = Path("/kaggle")


@dataclass(frozen=True)
class Kernel:
    """A kernel that is ready to be pushed.

    Attributes:
        id: `owner/slug`.
        folder: With the script and kernel-metadata.json.
        job: What it is asked to do.
        script: What it runs, with what is packed in it.
        notes: What the user should know before it travels, a sentence or a few lines each.
        recipe: Resolved; None where nothing is trained.
    """

    id: str
    folder: Path
    job: Job
    script: Script
    notes: tuple[str, ...]
    recipe: Recipe | None

    @property
    def heading(self) -> str:
        """What was built, without the notes."""
        return f"{self.id}: {self.code_file}\n{self.script.as_text()}"

    @property
    def code_file(self) -> Path:
        """The script, the one file that is sent."""
        return self.folder / f"{self.folder.name}.py"


def describe(kernels: Sequence[Kernel]) -> str:
    """What was built, with each note once: those of a fold's kernel alone below it."""
    common = [note for note in kernels[0].notes if all(note in one.notes for one in kernels)]
    own = [[one.heading, *(note for note in one.notes if note not in common)] for one in kernels]
    return "\n".join([*(line for lines in own for line in lines), *common])


def build_kernel(options: KernelOptions) -> Kernel:
    """Build the one kernel that options ask for.

    Raises:
        MelanomaError: As `build_kernels`.
    """
    if options.one_kernel_per_fold:
        raise ConfigError(
            "--one-kernel-per-fold: asks for several kernels, where one was expected."
        )
    return build_kernels(options)[0]


def build_kernels(options: KernelOptions) -> list[Kernel]:
    """Build a kernel, or one for each fold; nothing is written unless all of them can be built.

    Raises:
        MelanomaError: If an option is wrong, training would refuse the recipe, a kernel would be too
            large for Kaggle, or something secret would travel.
    """
    check_options(options)
    parts = _collect(options)
    each = [options]
    if options.one_kernel_per_fold:
        each = [options.of_fold(fold) for fold in parts.folds]
    check_no_secrets(parts.files, allowed=options.allow_secrets)
    built = [_build(one, parts) for one in each]
    for kernel, metadata in built:
        write_text(kernel.code_file, kernel.script.text)
        write_text(kernel.folder / METADATA, metadata)
    return [kernel for kernel, _ in built]


def check_packages(options: KernelOptions) -> None:
    """Check that the kernel can get what the image lacks: without, it would end as soon as it starts.

    Raises:
        ConfigError: If it can not.
    """
    attached = options.datasets or options.run_datasets or options.data
    if not options.internet and not attached and (lacking := _lacking(options)):
        raise ConfigError(
            f"{options.id}: Kaggle's image is not known to have {lacking}, and nothing is attached "
            "that could. Attach the dataset that scripts/push_kernel.py wheels makes, with "
            "--datasets, or let the kernel fetch them with --internet."
        )


@dataclass(frozen=True)
class _Parts:
    """What a kernel is made of, beside its job.

    Attributes:
        files: By their paths in the bundle.
        folds_csv: The fold file's path among them; empty for none.
        recipe: Resolved; None where nothing is trained.
        tracked: What git knows of the files.
        folds: The folds that are trained; none where nothing is trained.
    """

    files: dict[str, bytes]
    folds_csv: str
    recipe: Recipe | None
    tracked: Tracked
    folds: tuple[int, ...] = ()


def _collect(options: KernelOptions) -> _Parts:
    root = project_root()
    files = source_files(root)
    tracked = list(files)
    if options.config is None:
        return _Parts(files, "", None, look_up(root, tracked))
    recipe = resolve_recipe(options.config, options.overrides, options.folds)
    external = recipe.external_csv
    if external and not external.is_relative_to(_ON_KAGGLE):
        raise ConfigError(
            f"--data.external_csv {external}: photographs of another year are not sent along. Attach "
            "them with --datasets, and give the path that they have on Kaggle (/kaggle/input/...)."
        )
    config = Path(options.config)
    files[f"configs/{config.name}"] = config.read_bytes()
    whole = config.resolve()
    inside = whole.is_relative_to(root)
    tracked.append(whole.relative_to(root).as_posix() if inside else str(whole))
    path = options.folds_csv or recipe.folds_csv
    name = f"folds/{path.name}" if path.is_file() else ""
    if name:
        # Data, which are never committed, so that git is not asked about them.
        there = [file for file in (path, description_path(path)) if file.is_file()]
        files |= {f"folds/{file.name}": file.read_bytes() for file in there}
    folds = tuple(_folds(options, recipe, path if name else None))
    return _Parts(files, name, recipe, look_up(root, tracked), folds)


def _folds(options: KernelOptions, recipe: Recipe, path: Path | None) -> list[int]:
    """The folds that are asked for, in that order, each once.

    Raises:
        ConfigError: If one does not exist.
    """
    known = list(range(_DEFAULT_FOLDS))
    if path is not None:
        column = read_fold_column(path, recipe.fold_column)
        known = sorted({int(fold) for fold in column if fold >= 0})
    if options.folds == "all":
        return known
    asked = list(dict.fromkeys(int(number) for number in options.folds.split(",")))
    if missing := [fold for fold in asked if fold not in known]:
        whose = path or "the folds that the kernel makes by default"
        raise ConfigError(
            f"--fold {options.folds}: there is no fold {', '.join(map(str, missing))} in {whose}, but "
            f"{', '.join(map(str, known))}."
        )
    return asked


def _build(options: KernelOptions, parts: _Parts) -> tuple[Kernel, str]:
    check_options(options)
    job = fill_job(
        options,
        folds_csv=parts.folds_csv,
        weights=_weights_to_attach(options, parts.recipe),
        requirements=read_requirements(options.mode),
        commit=parts.tracked.note,
    )
    attached = _attached(options, job)
    metadata = _metadata(options, job, attached)
    written = {"job.json": job.as_json().encode(), METADATA: metadata.encode()}
    check_no_secrets(written, allowed=options.allow_secrets)
    script = write_script(job, parts.files)
    notes = tuple(note for note in _notes(options, parts, job, attached) if note)
    folder = options.output_dir / options.slug
    return Kernel(options.id, folder, job, script, notes, parts.recipe), metadata


def _weights_to_attach(options: KernelOptions, recipe: Recipe | None) -> list[str]:
    """Names of files of weights that the kernel has to find in what is attached."""
    if recipe is None or recipe.weights == "none":
        return []
    if recipe.weights != "imagenet":
        return [Path(recipe.weights).name]
    return [] if options.internet else [weights_name(recipe.backbone)]


def _attached(options: KernelOptions, job: Job) -> dict[str, list[str]]:
    """What a kernel is given to read, each once, by the fields of the metadata."""
    data = [options.data] if options.data else []
    own = [options.id] if options.resume else []
    competitions = [job.competition] if job.competition else []
    return {
        "dataset_sources": _each_once([*data, *options.datasets, *options.run_datasets]),
        "competition_sources": competitions,
        "kernel_sources": _each_once([*options.runs, *own]),
        "model_sources": _each_once(options.models),
    }


def _metadata(options: KernelOptions, job: Job, attached: dict[str, list[str]]) -> str:
    """The text of kernel-metadata.json.

    Both of `machine_shape` and the older `enable_gpu` and `enable_tpu` say which machine is meant.
    For a processor alone `machine_shape` is empty, as the client's own `kernels init` writes it
    (kaggle-cli pull request 1048); no name is documented for it.
    """
    template = json.loads(project_file(f"kaggle_kernel/{METADATA}").read_text(encoding="utf-8"))
    filled = {
        "id": options.id,
        "title": options.full_title,
        "code_file": f"{options.slug}.py",
        "is_private": options.private,
        "enable_gpu": job.machine.kind == "cuda",
        "enable_tpu": job.machine.kind == "tpu",
        "enable_internet": job.internet,
        "machine_shape": job.machine.machine_shape,
    }
    return json.dumps({**template, **filled, **attached}, indent=2) + "\n"


def _notes(
    options: KernelOptions, parts: _Parts, job: Job, attached: dict[str, list[str]]
) -> Iterable[str]:
    """What the user should know before it travels."""
    kinds = {"competition": "competition", "dataset": "dataset", "kernel": "output of kernel",
             "model": "model"}  # fmt: skip
    named = [f"{kinds[field.partition('_')[0]]} {', '.join(names)}"
             for field, names in sorted(attached.items()) if names]  # fmt: skip
    yield f"attached: {'; '.join(named) or 'nothing'}"
    yield parts.tracked.as_text()
    if parts.folds_csv:
        yield f"fold file: {parts.folds_csv} travels along"
    elif parts.recipe is not None:
        yield (
            f"fold file: there is no {parts.recipe.folds_csv}, so the kernel makes the folds as "
            "scripts/create_folds.py does by default"
        )
    if job.weights:
        yield f"weights: {', '.join(job.weights)} must be in an attached dataset"
    wheels = "an attached dataset (scripts/push_kernel.py wheels), as the internet is off"
    where = "the internet, where no attached dataset has them" if options.internet else wheels
    yield f"packages that the image is not known to have: {_lacking(options)}; from {where}"
    if options.accelerator == "tpu":
        yield "training on Kaggle's TPU has not been tried on a real one"


def _lacking(options: KernelOptions) -> str:
    lacking = packages_to_bring([options.accelerator], options.mode)
    return ", ".join(f"{r.name} {r.version}" for r in lacking)


def _each_once(sources: Iterable[str]) -> list[str]:
    return list(dict.fromkeys(sources))
