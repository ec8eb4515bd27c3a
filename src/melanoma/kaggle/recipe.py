"""What a recipe resolves to, asked of scripts/train_folds.py's own parser in a process of its own.

Building a kernel takes no torch into its own process, and a recipe that training would refuse is
refused before it travels.
"""

import os
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from melanoma.children import run_child
from melanoma.errors import ConfigError, RunError
from melanoma.kaggle.job import project_root


@dataclass(frozen=True)
class Recipe:
    """The settings of a recipe that decide what a kernel has to be given.

    Attributes:
        data_dir: The competition folder on this machine.
        folds_csv: The fold file; it may not be there yet.
        fold_column: Its column.
        external_csv: A table of another year; None for none.
        backbone: Name of the network.
        weights: none, imagenet, or the path of a file.
    """

    data_dir: Path
    folds_csv: Path
    fold_column: str
    external_csv: Path | None
    backbone: str
    weights: str


def resolve_recipe(config: str, overrides: Sequence[str], fold: str) -> Recipe:
    """Parse a recipe as training would.

    Args:
        config: Its path.
        overrides: Further options of scripts/train_folds.py.
        fold: The option of that name.

    Raises:
        ConfigError: With the message of scripts/train_folds.py, if it refuses.
        RunError: If its parser cannot be run.
    """
    if not Path(config).is_file():
        raise ConfigError(
            f"--config {config}: no such file. The project's recipes are in configs/."
        )
    done = _run(["--config", config, *overrides, "--fold", fold])
    if done.returncode == 2:
        reason = done.stderr.strip().rpartition("error: ")[2]
        raise ConfigError(f"scripts/train_folds.py refuses {config}: {reason}")
    if done.returncode:
        raise RunError(
            f"{config} cannot be checked, as scripts/train_folds.py does not run here "
            f"({_last_line(done.stderr)}). Set up the environment: make setup."
        )
    return _parse(yaml.safe_load(done.stdout))


def _run(arguments: list[str]) -> "subprocess.CompletedProcess[str]":
    paths = [str(project_root() / "src"), os.environ.get("PYTHONPATH", "")]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, paths))}
    command = [sys.executable, "-W", "ignore", "-m", "melanoma.training.resolve", *arguments]
    return run_child(command, capture=True, env=environment)


def _parse(resolved: dict[str, Any]) -> Recipe:
    data, model = resolved["data"], resolved["model"]
    external = data["external_csv"]
    return Recipe(
        data_dir=Path(data["data_dir"]),
        folds_csv=Path(data["folds_csv"]),
        fold_column=data["fold_column"],
        external_csv=Path(external) if external else None,
        backbone=model["backbone"],
        weights=model["weights"],
    )


def _last_line(text: str) -> str:
    lines = text.strip().splitlines()
    return lines[-1] if lines else "no message"
