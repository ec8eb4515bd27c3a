"""The packages that a kernel needs, from a committed list, which the notebook can read on Kaggle too.

`melanoma.kaggle.dependencies` makes the list; a test says when it is out of date.
"""

import hashlib
import json
import re
from collections.abc import Iterable
from dataclasses import asdict
from pathlib import Path
from typing import Any, get_args

from melanoma.errors import ConfigError, name_some
from melanoma.kaggle.images_of_kaggle import IMAGE_OF, Image
from melanoma.kaggle.job import Mode, Requirement
from melanoma.kaggle.project import project_file

LIST = "kaggle_kernel/requirements.json"
_WANTED, _PINNED = "requirements.txt", "constraints.txt"
_HASH = "sha256_of_requirements"
UPDATE = "python -m melanoma.kaggle.dependencies"


def read_requirements(mode: Mode, root: Path | None = None) -> tuple[Requirement, ...]:
    """What a kernel needs in a mode, in the order in which it is installed.

    Args:
        mode: Of the kernel.
        root: Of the project; by default the one that this module lies in.

    Raises:
        ConfigError: If the list is missing, damaged or out of date.
    """
    return tuple(Requirement(**known) for known in _read(root)[mode])


def packages_to_bring(accelerators: Iterable[str], root: Path | None = None) -> list[Requirement]:
    """What a kernel needs, in any mode, and the images of some machines are not known to have.

    Args:
        accelerators: Keys of `ACCELERATORS`.
        root: As for `read_requirements`.

    Raises:
        ConfigError: As `read_requirements`.
    """
    content = _read(root)
    images = {IMAGE_OF[name] for name in accelerators}
    lacking = {name for image in images for name in content["not_in_image"][image]}
    found: dict[str, Requirement] = {}
    for mode in get_args(Mode):
        found |= {known["name"]: Requirement(**known) for known in content[mode]}
    return [requirement for name, requirement in found.items() if name in lacking]


def requirements_text(
    by_mode: dict[Mode, list[Requirement]],
    not_in_image: dict[Image, list[str]],
    root: Path,
) -> str:
    """The text of the list."""
    content: dict[str, Any] = {
        "made_by": UPDATE,
        _HASH: _sha256(project_file(_WANTED, root)),
        **{mode: list(map(asdict, needed)) for mode, needed in by_mode.items()},
        "not_in_image": not_in_image,
    }
    return json.dumps(content, indent=2) + "\n"


def _read(root: Path | None) -> dict[str, Any]:
    path = project_file(LIST, root)
    try:
        content: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        made_from = content[_HASH]
    except (ValueError, TypeError, KeyError) as error:
        raise ConfigError(f"{path}: cannot be read ({error}). Make it again: {UPDATE}") from error
    # They do not travel to Kaggle, where there is nothing to compare with.
    wanted, pinned = path.parents[1] / _WANTED, path.parents[1] / _PINNED
    if wanted.is_file() and _sha256(wanted) != made_from:
        raise ConfigError(
            f"{path}: made from another {_WANTED}. Install what it lists and say {UPDATE}"
        )
    if pinned.is_file() and (moved := _moved(content, pinned)):
        raise ConfigError(
            f"{path}: {name_some(moved)} of another version than {_PINNED} has. Install those and "
            f"say {UPDATE}"
        )
    return content


def _moved(content: dict[str, Any], pinned: Path) -> list[str]:
    lines = (line.partition("==") for line in pinned.read_text(encoding="utf-8").splitlines())
    versions = {re.sub(r"[-_.]+", "-", name).lower(): version for name, _, version in lines}
    everything = (known for mode in get_args(Mode) for known in content[mode])
    return sorted(
        {k["name"] for k in everything if k["version"] != versions.get(k["name"], k["version"])}
    )


def _sha256(path: Path) -> str:
    # Line ends are git's business.
    content = path.read_bytes().replace(b"\r\n", b"\n")
    return hashlib.sha256(content).hexdigest()
