"""Memory of training at 33,126 images: what is held beside the network, and what workers copy.

Each process's proportional share (PSS: shared pages divided among those who share them) is read
from the system while an epoch runs. Beside it: the same with one image in a thousand, which has
the same libraries, network and batches. The difference is what the tables cost.
"""

import json
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import lightning.pytorch as pl
import pandas as pd
from common import call
from many_images import make_competition

from melanoma.command_line import script
from melanoma.folds.creation import create_folds
from melanoma.training.config import parse_config
from melanoma.training.noise import silence_known_noise


def measure(num_workers: int = 2, n_steps: int = 150, image_size: int = 64) -> None:
    """Print megabytes of the training process and of its workers.

    Args:
        num_workers: Of the data loader.
        n_steps: Of training, of 32 photographs each, before memory is read.
        image_size: In pixels.
    """
    with tempfile.TemporaryDirectory() as name:
        folds_csv = make_competition(Path(name))
        small = _smaller(Path(name))
        print(f"{'MB':24}{'process':>9}{'each worker':>13}{'all':>9}{'of it private':>15}")
        totals = []
        for title, path in [("33,126 images", folds_csv), ("1,000 images", small)]:
            settings = [str(path), str(num_workers), str(n_steps), str(image_size)]
            command = [sys.executable, __file__, "--measure", *settings]
            done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)  # noqa: S603
            found = json.loads(done.stdout.splitlines()[-1])
            own, *workers = found["pss"]
            totals.append(own + sum(workers))
            each = sum(workers) / max(1, len(workers))
            print(f"{title:24}{own:9.0f}{each:13.0f}{totals[-1]:9.0f}{sum(found['private']):15.0f}")
        print(f"network and optimiser   {found['network']:9.0f}")
        print(f"beyond the network      {totals[0] - found['network']:9.0f}")
        print(f"for 32,126 more images  {totals[0] - totals[1]:9.0f}")


def _smaller(folder: Path) -> Path:
    small = folder / "small"
    small.mkdir()
    (small / "jpeg").symlink_to(folder / "jpeg")
    table = pd.read_csv(folder / "train.csv")
    kept = pd.concat([table[table["target"] == 1].head(100), table[table["target"] == 0].head(900)])
    kept.to_csv(small / "train.csv", index=False)
    create_folds(small, output=small / "folds.csv")
    return small / "folds.csv"


class _Reading(pl.Callback):
    """Reads the memory of this process and its workers at one step."""

    def __init__(self, at_step: int) -> None:
        self.at_step = at_step
        self.found: dict[str, Any] = {}

    def on_train_batch_end(self, trainer: pl.Trainer, module: pl.LightningModule, *_: Any) -> None:
        if trainer.global_step == self.at_step:
            workers = Path("/proc/self/task").glob("*/children")
            pids = [pid for path in workers for pid in path.read_text().split()]
            rollups = [_rollup(pid) for pid in ["self", *pids]]
            n_values = sum(parameter.numel() for parameter in module.parameters())
            self.found = {
                "pss": [rollup["Pss"] for rollup in rollups],
                "private": [rollup["Private_Dirty"] for rollup in rollups],
                "network": 4 * 4 * n_values / 1e6,  # weights, gradients, two moments of Adam
            }


def _rollup(pid: str) -> dict[str, float]:
    lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()[1:]
    return {line.split(":")[0]: int(line.split()[1]) / 1e3 for line in lines}


def _measure(folds_csv: str, num_workers: str, n_steps: str, image_size: str) -> None:
    silence_known_noise()
    folder = Path(folds_csv).parent
    config = parse_config([
        f"--run_dir={folder / 'run'}", f"--data.data_dir={folder}", f"--data.folds_csv={folds_csv}",
        f"--data.image_size={image_size}", f"--data.num_workers={num_workers}",
        "--model.backbone=resnet18", "--model.weights=none",
    ])  # fmt: skip
    data = config.data_module(0)
    data.prepare_data()
    data.setup()
    reading = _Reading(int(n_steps))
    quiet = {"enable_checkpointing": False, "enable_progress_bar": False, "logger": False}
    trainer = pl.Trainer(
        max_epochs=20, max_steps=int(n_steps), limit_val_batches=0, callbacks=[reading],
        enable_model_summary=False, default_root_dir=str(folder), **quiet,
    )  # fmt: skip
    trainer.fit(config.module(data), datamodule=data)
    print(json.dumps(reading.found))


@script
def main(arguments: list[str]) -> None:
    """Parse the command line."""
    if arguments[:1] == ["--measure"]:
        return _measure(*arguments[1:])
    call(measure, __doc__, arguments)
    return None


if __name__ == "__main__":
    sys.exit(main())
