"""Where numbers go while training: TensorBoard, Weights & Biases; metrics.csv is always written."""

import importlib.util
import os

from lightning.pytorch.loggers import Logger, TensorBoardLogger, WandbLogger

from melanoma.errors import ConfigError, suggest
from melanoma.run_folder import FoldFolder

KNOWN = ("csv", "tensorboard", "wandb")


def parse_loggers(names: str) -> list[str]:
    """The loggers of `--logger csv,tensorboard`.

    Raises:
        ConfigError: If one is not known, or not installed.
    """
    listed = [name.strip() for name in names.split(",") if name.strip()]
    for name in listed:
        if name not in KNOWN:
            raise ConfigError(
                f"--logger {names}: {name} is not known. Choose from {', '.join(KNOWN)}."
                f"{suggest(name, KNOWN)}"
            )
    if "wandb" in listed and importlib.util.find_spec("wandb") is None:
        raise ConfigError(f"--logger {names}: wandb is not installed. Run pip install wandb.")
    return listed


def create_loggers(names: str, folder: FoldFolder, run_name: str) -> list[Logger]:
    """The Lightning loggers of a fold; `csv` needs none, `metrics.csv` is always written.

    Weights & Biases stays offline unless the environment variable WANDB_MODE says otherwise:
    nothing is sent anywhere without being asked.
    """
    loggers: list[Logger] = []
    for name in parse_loggers(names):
        if name == "tensorboard":
            loggers.append(TensorBoardLogger(folder.path, name="", version="tensorboard"))
        if name == "wandb":
            offline = os.environ.get("WANDB_MODE", "offline") != "online"
            title = f"{run_name}-{folder.path.name}"
            loggers.append(WandbLogger(title, save_dir=folder.path, offline=offline))
    return loggers
