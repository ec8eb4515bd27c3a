"""run.json: what a run was made of, so that two runs which differ can be told apart.

Nothing in it says who made it or where: no host, no user, no path.
"""

import hashlib
import json
import os
import platform
import shutil
from collections.abc import Iterable, Sequence
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import torch

import melanoma
from melanoma.children import run_child
from melanoma.files import read_object, sha256_of, write_json
from melanoma.images.sources import sources_of
from melanoma.remote.photographs import status_reader
from melanoma.run_folder import RunFolder, binding_settings
from melanoma.tables import sample_submission_csv, test_csv
from melanoma.training.config import RunConfig

_PACKAGES = (
    *(
        "torch",
        "torch_xla",
        "torchvision",
        "lightning",
        "timm",
        "albumentations",
        "opencv-python-headless",
    ),
    *("numpy", "pandas", "pillow", "scikit-learn"),
)
_PROCESSORS = Path("/proc/cpuinfo")


def write_record(run: RunFolder, config: RunConfig) -> None:
    """Write `run.json`, or add this machine to it where the run goes on on another one.

    `environments` lists the versions, hardware and commit of each kind of machine that has worked
    on the run, in the order of their first call.

    Args:
        run: Taken by this configuration.
        config: Its tables have been checked.

    Raises:
        MelanomaError: If it cannot be written.
    """
    environments = _earlier_environments(run.record_json)
    ours = {"versions": versions(), "hardware": hardware(), "code": commit()}
    if ours not in environments:
        environments.append(ours)
    write_json(run.record_json, {**_ingredients(run, config), "environments": environments})


def versions() -> dict[str, str | None]:
    """Of Python and of every package that may change a bit; None for one that is not installed."""
    packages = {name: _version(name) for name in _PACKAGES}
    return {"python": platform.python_version(), "melanoma": melanoma.__version__, **packages}


def hardware() -> dict[str, Any]:
    """Processor, cores, memory and GPUs of this machine."""
    gpus = range(torch.cuda.device_count())
    return {
        "system": f"{platform.system()} {platform.machine()}",
        "processor": _processor_name(),
        "cores": os.cpu_count(),
        "memory_gb": _memory_gb(),
        "gpus": [torch.cuda.get_device_name(gpu) for gpu in gpus],
    }


def commit() -> dict[str, Any] | None:
    """The git commit of this code, and whether files differ from it; None outside a repository."""
    root = Path(melanoma.__file__).parents[2]
    git = shutil.which("git")
    if git is None or not (root / ".git").exists():
        return None
    head, changes = (
        run_child([git, "-C", str(root), *words], capture=True)
        for words in (["rev-parse", "HEAD"], ["status", "--porcelain", "--untracked-files=no"])
    )
    if head.returncode or changes.returncode:
        return None
    return {"commit": head.stdout.strip(), "is_dirty": bool(changes.stdout.strip())}


def hash_photographs(paths: Sequence[Path]) -> dict[str, Any]:
    """How many photographs there are, and the SHA-256 of their sorted names and sizes in bytes.

    Their content is not read, which would take minutes: a photograph that was replaced by another
    of exactly as many bytes is not noticed.
    """
    status = status_reader()
    lines = sorted(f"{path.name} {status(path).n_bytes}\n" for path in paths)
    return {"n": len(lines), "names_and_sizes_sha256": _sha256(lines)}


def _ingredients(run: RunFolder, config: RunConfig) -> dict[str, Any]:
    folder = Path(config.data["data_dir"])
    tables = json.loads(run.tables_json.read_text(encoding="utf-8"))
    further = [path for path in (test_csv(folder), sample_submission_csv(folder)) if path.is_file()]
    return {
        "seed": config.seed,
        "config_sha256": _sha256([json.dumps(binding_settings(run.read_config()))]),
        "tables": tables | {path.name: sha256_of(path) for path in further},
        "photographs": hash_photographs(sources_of(config.data).paths),
    }


def _earlier_environments(path: Path) -> list[dict[str, Any]]:
    listed = read_object(path).get("environments")
    return listed if isinstance(listed, list) else []


def _version(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None


def _processor_name() -> str:
    if _PROCESSORS.is_file():
        for line in _PROCESSORS.read_text(encoding="utf-8", errors="replace").splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()


def _memory_gb() -> float | None:
    if not hasattr(os, "sysconf") or "SC_PHYS_PAGES" not in os.sysconf_names:
        return None
    return round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 1e9, 1)


def _sha256(lines: Iterable[str]) -> str:
    return hashlib.sha256("".join(lines).encode()).hexdigest()
