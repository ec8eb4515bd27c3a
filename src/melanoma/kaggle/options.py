"""What a user says to build a kernel, and what of it is a mistake."""

import re
from dataclasses import dataclass, replace
from pathlib import Path

from melanoma.errors import ConfigError, name_some
from melanoma.kaggle.settings import JobSettings, check_settings, check_sources

_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]*/[a-z0-9]+(-[a-z0-9]+)*")
_MODEL = re.compile(r"[^/\s]+/[^/\s]+/[^/\s]+/[^/\s]+/\d+")
# kaggle 2.2.5, `kernels_push`, asks for five; Kaggle's form in the browser takes fifty.
_SHORTEST, _LONGEST = 5, 50


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
