"""The packages of a kernel: what the image has, what is attached, and what is installed."""

import importlib
import importlib.metadata
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from melanoma.children import run_child
from melanoma.errors import ConfigError, MelanomaError
from melanoma.kaggle.job import Requirement
from melanoma.kaggle.mounts import Mounts

# The compiled basis of an image: what else is in it was built for these very versions.
_OF_THE_IMAGE = {"torch", "torchvision", "torch-xla", "numpy"}
# Both read versions alike; pip, without which nothing could be installed, brings its own copy.
_READERS = ("packaging", "pip._vendor.packaging")


class InstallationError(MelanomaError):
    """pip has failed."""


@dataclass(frozen=True)
class Plan:
    """Where a package comes from.

    Attributes:
        requirement: What is needed.
        found: The version in the image; None for none.
        wheel: The attached file that has it; None for none.
        to_install: Whether the image's will not do.
    """

    requirement: Requirement
    found: str | None
    wheel: Path | None = None
    to_install: bool = False

    @property
    def pip_argument(self) -> str:
        """What pip is given."""
        wanted = f"{self.requirement.name}=={self.requirement.version}"
        return str(self.wheel) if self.wheel else wanted

    @property
    def origin(self) -> str:
        """For the table."""
        if not self.to_install:
            return "the image"
        return f"attached: {self.wheel.name}" if self.wheel else f"index: {self.pip_argument}"


def plan_packages(
    requirements: Sequence[Requirement], mounts: Mounts, internet: bool
) -> list[Plan]:
    """Find out for each package whether the image's will do, and where else it comes from.

    Args:
        requirements: What is needed.
        mounts: Among which wheels are looked for.
        internet: Whether what is not attached may be fetched.

    Raises:
        ConfigError: If something can be had from nowhere, naming all of it.
    """
    wheels = mounts.files(lambda path: path.suffix == ".whl")
    plans = [_plan(requirement, wheels) for requirement in requirements]
    too_old = [p for p in plans if p.to_install and _name(p.requirement) in _OF_THE_IMAGE]
    if too_old:
        raise ConfigError(
            f"the image has {_name_found(too_old)}. These are the image's own and are not replaced: "
            "choose its latest version (Environment, in the kernel's settings on Kaggle)."
        )
    missing = [p for p in plans if p.to_install and not p.wheel and not internet]
    if missing:
        raise ConfigError(
            f"packages are missing, and there is no internet: {_name_found(missing)}. Build and upload "
            "them with scripts/push_kernel.py wheels and attach that dataset, or push with the "
            "internet on."
        )
    return plans


def plans_as_text(plans: Sequence[Plan]) -> str:
    """A table of what is needed, found, and taken."""
    rows = [("package", "needed", "found", "from")]
    rows += [(p.requirement.name, _wanted(p), p.found or "-", p.origin) for p in plans]
    widths = [max(len(row[column]) for row in rows) for column in range(3)]
    lines = ("  ".join([*map(str.ljust, row, widths), row[3]]) for row in rows)
    return "\n".join(line.rstrip() for line in lines)


def install(plans: Sequence[Plan], folder: Path) -> None:
    """Install what the image does not have, all at once, into a folder of its own.

    Raises:
        InstallationError: If pip fails; nothing is left in the folder then.
    """
    wanted = [plan for plan in plans if plan.to_install]
    if not wanted:
        return
    options = ["--no-deps", "--no-input", "--disable-pip-version-check", "--quiet", "--upgrade"]
    # Kaggle's sessions run as root, in an image of their own.
    options += ["--root-user-action", "ignore", "--target", str(folder)]
    if all(plan.wheel for plan in wanted):
        options.append("--no-index")
    words = [*options, *(plan.pip_argument for plan in wanted)]
    print(f"$ python -m pip install {' '.join(words)}", flush=True)
    process = run_child([sys.executable, "-m", "pip", "install", *words])
    if process.returncode:
        raise InstallationError(
            f"pip has failed with exit code {process.returncode}; the reason is above. Where there is "
            "no internet, attach wheels: scripts/push_kernel.py wheels."
        )


def found_version(name: str) -> str | None:
    """The version of an installed distribution; None for none."""
    try:
        return importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return None


def _plan(requirement: Requirement, wheels: Sequence[Path]) -> Plan:
    found = found_version(requirement.name)
    if found is not None and _will_do(found, requirement.specifier):
        return Plan(requirement, found)
    fitting = list(_fitting_wheels(requirement, wheels))
    newest = max(fitting, key=lambda pair: pair[0])[1] if fitting else None
    return Plan(requirement, found, newest, to_install=True)


def _fitting_wheels(requirement: Requirement, wheels: Sequence[Path]) -> Iterator[tuple[Any, Path]]:
    """Wheels of a package which this Python can use, with their versions."""
    utils, tags = _reader("utils"), _reader("tags")
    usable = set(tags.sys_tags())
    for path in wheels:
        try:
            name, version, _, of_wheel = utils.parse_wheel_filename(path.name)
        except utils.InvalidWheelFilename as error:
            raise ConfigError(
                f"{path}: not named as a wheel is ({error}). Build the dataset again with "
                "scripts/push_kernel.py wheels."
            ) from error
        wanted = requirement.specifier or f"=={requirement.version}"
        if name == _name(requirement) and usable & of_wheel and _will_do(str(version), wanted):
            yield version, path


def _will_do(version: str, specifier: str) -> bool:
    # 2.10.0+cu128 is a 2.10.0; a release candidate that the image has is what it has.
    return bool(_reader("specifiers").SpecifierSet(specifier).contains(version, prereleases=True))


def _name(requirement: Requirement) -> str:
    return str(_reader("utils").canonicalize_name(requirement.name))


def _wanted(plan: Plan) -> str:
    return plan.requirement.specifier or "any"


def _name_found(plans: Sequence[Plan]) -> str:
    return ", ".join(
        f"{plan.requirement.name} {plan.found or 'not at all'} (needed: {_wanted(plan)})"
        for plan in plans
    )


def _reader(part: str) -> Any:
    for package in _READERS:
        try:
            return importlib.import_module(f"{package}.{part}")
        except ModuleNotFoundError:
            continue
    raise ConfigError(
        "neither packaging nor pip is installed, so that packages can be neither compared nor "
        "installed. Use one of Kaggle's images."
    )
