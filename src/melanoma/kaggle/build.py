"""Building kernels: a folder each with one self-extracting script and its kernel-metadata.json."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from melanoma.errors import ConfigError
from melanoma.files import write_text
from melanoma.kaggle.bundle import Script, write_script
from melanoma.kaggle.job import Job
from melanoma.kaggle.metadata import FILE, Attached, kernel_metadata
from melanoma.kaggle.options import KernelOptions, check_options
from melanoma.kaggle.packages import read_requirements
from melanoma.kaggle.parts import Parts, collect_parts, notes_on, weights_to_attach
from melanoma.kaggle.recipe import Recipe
from melanoma.kaggle.secrets import check_no_secrets
from melanoma.kaggle.settings import fill_job


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
    parts = collect_parts(options)
    each = [options]
    if options.one_kernel_per_fold:
        each = [options.of_fold(fold) for fold in parts.folds or ()]
    check_no_secrets(parts.files, allowed=options.allow_secrets)
    built = [_build(one, parts) for one in each]
    for kernel, metadata in built:
        write_text(kernel.code_file, kernel.script.text)
        write_text(kernel.folder / FILE, metadata)
    return [kernel for kernel, _ in built]


def _build(options: KernelOptions, parts: Parts) -> tuple[Kernel, str]:
    check_options(options)
    job = fill_job(
        options,
        folds_csv=parts.folds_csv,
        weights=weights_to_attach(options, parts.recipe),
        requirements=read_requirements(options.mode),
        commit=parts.tracked.note,
    )
    folder = options.output_dir / options.slug
    attached = _attached(options)
    metadata = kernel_metadata(
        options.id,
        options.full_title,
        f"{options.slug}.py",
        options.accelerator,
        options.internet,
        options.private,
        attached,
    )
    written = {"job.json": job.as_json().encode(), FILE: metadata.encode()}
    check_no_secrets(written, allowed=options.allow_secrets)
    script = write_script(job, parts.files)
    notes = (attached.as_text(), *notes_on(options, parts))
    return Kernel(options.id, folder, job, script, notes, parts.recipe), metadata


def _attached(options: KernelOptions) -> Attached:
    """What a kernel is given to read, each once."""
    data = [options.data] if options.data else []
    own = [options.id] if options.resume else []
    return Attached(
        datasets=_each_once([*data, *options.datasets, *options.run_datasets]),
        competitions=[options.competition] if options.competition else [],
        kernels=_each_once([*options.runs, *own]),
        models=_each_once(options.models),
    )


def _each_once(sources: Iterable[str]) -> list[str]:
    return list(dict.fromkeys(sources))
