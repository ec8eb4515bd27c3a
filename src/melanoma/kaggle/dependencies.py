"""Makes kaggle_kernel/requirements.json from what the code imports.

Run it with `python -m melanoma.kaggle.dependencies` whenever requirements.txt changes. It needs the
environment that it describes; everything else reads the list (`requirements.py`).
"""

import importlib.metadata
import sys
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from packaging.requirements import Requirement as Parsed
from packaging.utils import canonicalize_name

from melanoma.command_line import script
from melanoma.errors import ConfigError
from melanoma.files import write_text
from melanoma.kaggle.bundle import SCRIPTS
from melanoma.kaggle.images_of_kaggle import IMAGES, Image, known_versions
from melanoma.kaggle.imports import imported_packages
from melanoma.kaggle.job import Mode, Requirement
from melanoma.kaggle.project import project_file, project_root
from melanoma.kaggle.requirements import LIST, requirements_text

_WORKERS = ("src/melanoma/training/__main__.py", "src/melanoma/prediction/__main__.py")
_KERNEL = ("src/melanoma/kaggle/kernel.py", "src/melanoma/kaggle/work.py")
# What a kernel runs in each mode, beside its own modules.
_ENTRIES: dict[Mode, tuple[str, ...]] = {
    "train": (*(f"scripts/{name}.py" for name in SCRIPTS), *_WORKERS),
    "predict": ("scripts/predict_folds.py", "scripts/build_submission.py", *_WORKERS[1:]),
    "ensemble": ("scripts/build_submission.py",),
}
# Imported where a TPU is used alone; the TPU image has it, beside the torch that belongs to it.
_OF_TPU_IMAGE = {"torch_xla"}
# Imported by another package on our behalf.
_UNSEEN = {"tensorboard": "lightning"}
# Kaggle's, so that the list is the same wherever it is made.
_ENVIRONMENT = {
    "implementation_name": "cpython",
    "os_name": "posix",
    "platform_machine": "x86_64",
    "platform_python_implementation": "CPython",
    "platform_system": "Linux",
    "python_full_version": "3.12.13",
    "python_version": "3.12",
    "sys_platform": "linux",
}


@dataclass(frozen=True)
class _Project:
    """What the project says of versions, by the names of distributions.

    Attributes:
        wanted: The lines of requirements.txt.
        pinned: The versions of constraints.txt.
    """

    wanted: dict[str, Parsed]
    pinned: dict[str, str]


def compute_requirements(root: Path) -> str:
    """The text of the list, from imports and the metadata of what is installed.

    Raises:
        ConfigError: If something that is imported is not installed.
    """
    project = _Project(
        wanted={_name(line): line for line in _lines(project_file("requirements.txt", root))},
        pinned={
            _name(line): next(iter(line.specifier)).version
            for line in _lines(project_file("constraints.txt", root))
        },
    )
    by_mode: dict[Mode, list[Requirement]] = {}
    for mode, entries in _ENTRIES.items():
        paths = [root / name for name in (*entries, *_KERNEL) if (root / name).is_file()]
        by_mode[mode] = _close(_distributions(imported_packages(root, paths)), project)
    everything = {known.name: known for known in by_mode["train"]}
    lacking: dict[Image, list[str]] = {}
    for image in IMAGES:
        there = _in_image(image)
        lacking[image] = sorted(n for n, r in everything.items() if not _will_do(r, there))
    return requirements_text(by_mode, lacking, root)


def _distributions(packages: Iterable[str]) -> set[str]:
    """The distributions that hold packages: PIL is of pillow."""
    known = importlib.metadata.packages_distributions()
    to_find = set(packages) - _OF_TPU_IMAGE
    missing = sorted(to_find - known.keys())
    if missing:
        raise ConfigError(f"{', '.join(missing)}: imported, but not installed. Run make setup.")
    found = {canonicalize_name(known[name][0]) for name in to_find}
    return found | {unseen for unseen, by in _UNSEEN.items() if by in found}


def _close(direct: Iterable[str], project: _Project) -> list[Requirement]:
    """Packages with what they need in turn, which comes before them.

    What all images are known to have, and what that needs, is the images' own business.
    """
    ordered: dict[str, Requirement] = {}

    def add(name: str, extras: Iterable[str], is_direct: bool) -> None:
        if name in ordered or name in entered:
            return
        entered.add(name)
        specifier = str(project.wanted[name].specifier) if name in project.wanted else ""
        requirement = Requirement(name, _version(name, project), specifier if is_direct else "")
        if not all(_will_do(requirement, there) for there in images):
            for needed in _needs(name, extras):
                add(needed, (), is_direct=needed in directly)
        ordered[name] = requirement

    images = [_in_image(image) for image in IMAGES]
    directly, entered = set(direct), set[str]()
    for name in sorted(directly):
        add(name, project.wanted[name].extras if name in project.wanted else (), is_direct=True)
    return list(ordered.values())


def _needs(name: str, extras: Iterable[str]) -> Iterator[str]:
    """What a distribution requires on Kaggle.

    The extras of others' requirements are left out: fsspec[http], which Lightning names, would bring
    compiled packages for remote paths.
    """
    environments = [{**_ENVIRONMENT, "extra": extra} for extra in ("", *sorted(extras))]
    for line in importlib.metadata.requires(name) or []:
        parsed = Parsed(line)
        marker = parsed.marker
        if marker is None or any(marker.evaluate(environment) for environment in environments):
            needed = _name(parsed)
            if needed != name:
                yield needed


def _in_image(image: Image) -> dict[str, str]:
    """What an image is known to have, and what that requires."""
    there = known_versions(image)
    waiting = list(there)
    while waiting:
        name = waiting.pop()
        if _is_installed(name):
            further = [needed for needed in _needs(name, ()) if needed not in there]
            there |= dict.fromkeys(further, "")
            waiting += further
    return there


def _will_do(requirement: Requirement, there: Mapping[str, str]) -> bool:
    version = there.get(requirement.name)
    if version is None:
        return False
    return not version or Parsed(f"x{requirement.specifier}").specifier.contains(version)


def _version(name: str, project: _Project) -> str:
    return project.pinned.get(name) or importlib.metadata.version(name)


def _is_installed(name: str) -> bool:
    try:
        importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return False
    return True


def _name(parsed: Parsed) -> str:
    return str(canonicalize_name(parsed.name))


def _lines(path: Path) -> list[Parsed]:
    lines = (line.partition("#")[0].strip() for line in path.read_text("utf-8").splitlines())
    return [Parsed(line) for line in lines if line]


@script
def main(_arguments: list[str]) -> None:
    """Write the list and say where it is."""
    root = project_root()
    print(write_text(root / LIST, compute_requirements(root)))


if __name__ == "__main__":
    sys.exit(main())
