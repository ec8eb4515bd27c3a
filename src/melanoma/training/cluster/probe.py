"""Looking from each machine of a cluster at what a fold needs there, before anything is trained."""

import os
import platform
from collections.abc import Sequence
from dataclasses import dataclass, field
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from melanoma.errors import MelanomaError, RunError, name_some
from melanoma.files import sha256_of
from melanoma.remote.opening import folder_of_run
from melanoma.tables import train_csv
from melanoma.training.cluster.storage import read_token

# Which change bits.
_PACKAGES = ("torch", "lightning", "timm", "albumentations", "opencv-python-headless", "numpy")


@dataclass(frozen=True)
class Expected:
    """What a machine must have.

    Attributes:
        token: What `token_file` or the storage's token holds, written by this call.
        token_file: In the run folder; None where a storage is used.
        storage: Its address; None where a path is shared.
        tables: The SHA-256 of each table, by its absolute path.
        photographs: Some photographs with their sizes in bytes.
        behind_address: The settings that open the data where they are behind an address, and under
            `train` the SHA-256 of its train.csv; empty where they are in a folder.
    """

    token: str
    token_file: Path | None
    storage: str | None
    tables: dict[Path, str] = field(default_factory=dict)
    photographs: dict[Path, int] = field(default_factory=dict)
    behind_address: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Seen:
    """What was found on a machine.

    Attributes:
        host: Its name.
        problems: What is not as expected, a sentence each with what to do.
        versions: Of Python and of packages that change bits.
    """

    host: str
    problems: list[str]
    versions: dict[str, str]


def look(expected: Expected) -> Seen:
    """Look at the machine that this runs on."""
    problems = [*_token_problems(expected), *_data_problems(expected)]
    problems += _address_problems(expected)
    return Seen(platform.node(), problems, versions())


def versions() -> dict[str, str]:
    """Of Python and of packages that change bits, as far as they are installed."""
    found = {"python": platform.python_version()}
    for name in _PACKAGES:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            found[name] = "missing"
    return found


def judge(seen: Sequence[Seen], ours: dict[str, str]) -> list[str]:
    """What is worth knowing of the machines: those with other versions than this one.

    Raises:
        RunError: If one cannot train, with what to do.
    """
    problems: dict[str, list[str]] = {}
    for machine in seen:
        for problem in machine.problems:
            problems.setdefault(problem, []).append(machine.host)
        lacking = [name for name, its in machine.versions.items() if its == "missing"]
        if lacking:
            text = f"{', '.join(lacking)} not installed. Run pip install -r requirements-ray.txt"
            problems.setdefault(f"{text} there.", []).append(machine.host)
    if problems:
        found = [f"on {name_some(sorted(set(hosts)))}: {what}" for what, hosts in problems.items()]
        raise RunError(f"--launcher ray: {found[0]}" + _more(found[1:]))
    return [
        f"note: {machine.host} has {name} {its}, this machine {ours[name]}: the last bits of what is "
        "trained there may differ"
        for machine in seen
        for name, its in machine.versions.items()
        if its != ours[name]
    ]


def _more(others: list[str]) -> str:
    return f" ({len(others)} more: {' '.join(others)})" if others else ""


def _token_problems(expected: Expected) -> list[str]:
    path = expected.token_file
    if path is None:
        try:
            found = read_token(expected.storage or "")
        except (MelanomaError, OSError) as error:
            return [f"{expected.storage} cannot be read ({error})."]
        if found != expected.token:
            return [
                f"{expected.storage} is another one there: its token is not the one of this call."
            ]
        return []
    if path.is_file() and path.read_text(encoding="utf-8") == expected.token:
        if os.access(path.parent, os.W_OK):
            return []
        return [f"{path.parent} cannot be written. Make it writable there."]
    return [
        f"{path.parent} is not the run folder of this machine: its disk is not shared. Put --run_dir "
        "on a disk that all machines see under this path, or give --ray_storage."
    ]


def _data_problems(expected: Expected) -> list[str]:
    remedy = "Put the same data under this path there, or on a shared disk."
    problems = []
    for path, sha256 in expected.tables.items():
        if not path.is_file():
            problems.append(f"{path}: no such file. {remedy}")
        elif sha256_of(path) != sha256:
            problems.append(f"{path} is another file there (the SHA-256 differ). {remedy}")
    for path, n_bytes in expected.photographs.items():
        if not path.is_file() or path.stat().st_size != n_bytes:
            problems.append(f"{path} is missing or of another size. {remedy}")
            break  # the others are mostly missing with it
    return problems


def _address_problems(expected: Expected) -> list[str]:
    if not expected.behind_address:
        return []
    try:
        folder = folder_of_run(expected.behind_address)
        if sha256_of(train_csv(folder)) != expected.behind_address["train"]:
            address = expected.behind_address["data_dir"]
            return [f"{address} has another train.csv there. Give the same address, and mirror."]
    except (MelanomaError, OSError) as error:
        return [str(error)]
    return []
