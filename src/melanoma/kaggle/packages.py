"""The packages of a kernel: which it needs, what the image has, what is attached and what is installed.

Nothing but the standard library is imported: when a kernel starts, packages may be missing.
"""

import importlib
import importlib.metadata
import re
import sys
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from melanoma.children import run_child
from melanoma.errors import ConfigError, MelanomaError
from melanoma.kaggle.inputs import Mounts
from melanoma.kaggle.job import Mode, Requirement, project_file

# What has to be brought, by hand; and the ranges that the image's own versions have to be in.
PINS, RANGES = "kaggle_kernel/requirements.txt", "requirements.txt"
# Of the ranges: what only the report and scripts that no kernel runs need, and what blending does not.
_AT_HOME = {"captum", "imagehash", "jinja2", "plotly", "rich", "tqdm"}
_NETWORKS = {"albumentations", "opencv-python-headless", "pillow", "tensorboard", "timm", "torch",
             "torchvision"}  # fmt: skip
# The compiled basis of an image: what else is in it was built for these very versions.
_OF_THE_IMAGE = {"torch", "torchvision", "torch-xla", "numpy"}
# Both read versions alike; pip, without which nothing could be installed, brings its own copy.
_READERS = ("packaging", "pip._vendor.packaging")
_LINE = re.compile(r"([\w.-]+)(?:\[.*?\])?\s*([<>=!~][^#]*)?(?:#(.*))?")


@dataclass(frozen=True)
class _Pin:
    """A line of `PINS`."""

    requirement: Requirement
    marks: Collection[str]

    def is_for(self, mode: Mode) -> bool:
        """Whether a kernel of that mode needs it."""
        return mode != "ensemble" or "networks" not in self.marks


def read_requirements(mode: Mode, root: Path | None = None) -> tuple[Requirement, ...]:
    """What a kernel needs in a mode, in the order in which it is installed.

    Args:
        mode: Of the kernel.
        root: Of the project; by default the one that this module lies in.

    Raises:
        ConfigError: If one of the two lists is missing or damaged.
    """
    pins = _read_pins(root)
    left_out = _AT_HOME | (_NETWORKS if mode == "ensemble" else set())
    ranges = {name: text for name, text, _ in _lines(RANGES, root) if name not in left_out}
    needed = [pin.requirement for pin in pins if pin.is_for(mode)]
    brought = [replace(known, specifier=ranges.get(known.name, "")) for known in needed]
    pinned = {pin.requirement.name for pin in pins}
    own = [Requirement(name, "", text) for name, text in ranges.items() if name not in pinned]
    return (*own, *brought)


def packages_to_bring(
    accelerators: Collection[str], mode: Mode = "train", root: Path | None = None
) -> list[Requirement]:
    """What a kernel needs, and the images of some machines are not known to have.

    Args:
        accelerators: Keys of `ACCELERATORS`.
        mode: Of the kernel.
        root: As for `read_requirements`.

    Raises:
        ConfigError: As `read_requirements`.
    """
    lacking = [pin for pin in _read_pins(root) if "tpu" in accelerators or "tpu" not in pin.marks]
    return [pin.requirement for pin in lacking if pin.is_for(mode)]


def _read_pins(root: Path | None) -> list[_Pin]:
    return [
        _Pin(Requirement(name, text.removeprefix("=="), text), comment.split())
        for name, text, comment in _lines(PINS, root)
    ]


def _lines(name: str, root: Path | None) -> Iterator[tuple[str, str, str]]:
    """Name, versions and comment of each line of a list of packages."""
    path = project_file(name, root)
    for line in path.read_text(encoding="utf-8").splitlines():
        if line.strip() and not line.startswith("#"):
            match = _LINE.fullmatch(line.strip())
            if match is None:
                raise ConfigError(
                    f"{path}: {line} is no package and its versions. Restore that file."
                )
            yield _canonical(match[1]), (match[2] or "").strip(), match[3] or ""


class InstallationError(MelanomaError):
    """pip has failed."""


@dataclass(frozen=True)
class Plan:
    """Where a package comes from.

    Attributes:
        requirement: What is needed.
        found: The version in the image; None for none.
        wheels: Folders of attached files that may have it; pip takes the newest that fits.
        to_install: Whether the image's will not do.
    """

    requirement: Requirement
    found: str | None
    wheels: tuple[Path, ...] = ()
    to_install: bool = False

    @property
    def pip_argument(self) -> str:
        """What pip is given: the range that will do for attached files, else the very version."""
        known = self.requirement
        exact = f"=={known.version}" if known.version else ""
        return known.name + (
            (known.specifier or exact) if self.wheels else (exact or known.specifier)
        )

    @property
    def origin(self) -> str:
        """For the table."""
        if not self.to_install:
            return "the image"
        return f"{'attached' if self.wheels else 'index'}: {self.pip_argument}"


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
    too_old = [p for p in plans if p.to_install and _canonical(p.requirement.name) in _OF_THE_IMAGE]
    if too_old:
        raise ConfigError(
            f"the image has {_name_found(too_old)}. These are the image's own and are not replaced: "
            "choose its latest version (Environment, in the kernel's settings on Kaggle)."
        )
    missing = [p for p in plans if p.to_install and not p.wheels and not internet]
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
    if all(plan.wheels for plan in wanted):
        options.append("--no-index")
    for path in sorted({path for plan in wanted for path in plan.wheels}):
        options += ["--find-links", str(path)]
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
    name = _canonical(requirement.name)
    having = {path.parent for path in wheels if _canonical(path.name.partition("-")[0]) == name}
    return Plan(requirement, found, tuple(sorted(having)), to_install=True)


def _will_do(version: str, specifier: str) -> bool:
    # 2.10.0+cu128 is a 2.10.0; a release candidate that the image has is what it has.
    for reader in _READERS:
        try:
            module = importlib.import_module(f"{reader}.specifiers")
        except ModuleNotFoundError:
            continue
        return bool(module.SpecifierSet(specifier).contains(version, prereleases=True))
    raise ConfigError(
        "neither packaging nor pip is installed, so that packages can be neither compared nor "
        "installed. Use one of Kaggle's images."
    )


def _canonical(name: str) -> str:
    """As packages are named on PyPI, without regard to case, points and underscores."""
    return re.sub(r"[-_.]+", "-", name).lower()


def _wanted(plan: Plan) -> str:
    return plan.requirement.specifier or "any"


def _name_found(plans: Sequence[Plan]) -> str:
    return ", ".join(
        f"{plan.requirement.name} {plan.found or 'not at all'} (needed: {_wanted(plan)})"
        for plan in plans
    )
