"""From the start of train_folds.py until its first steps are made, at 33,126 training images.

Measured from outside, with `--trainer.fast_dev_run`: reading and checking the tables and the
photographs, the start of the fold's own process, one training step and one of validation, until
the line that says so. The goal is 15 seconds on 2 cores with an images.csv.
"""

import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from common import TRAIN_FOLDS, call
from many_images import make_competition

from melanoma.command_line import script


def measure(
    backbone: str = "tf_efficientnet_b0",
    image_size: int = 224,
    repeats: int = 3,
    options: list[str] | None = None,
) -> None:
    """Print seconds with images.csv and without it.

    Args:
        backbone: Of the network.
        image_size: In pixels.
        repeats: Starts; the median counts. One more goes before, to warm the disk's cache.
        options: Further options of train_folds.py.
    """
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        folds_csv = make_competition(folder)
        command = [
            *TRAIN_FOLDS, f"--run_dir={folder / 'run'}", f"--data.data_dir={folder}",
            f"--data.folds_csv={folds_csv}", "--data.batch_size=8",
            f"--data.image_size={image_size}", f"--model.backbone={backbone}",
            "--model.weights=none", "--trainer.fast_dev_run=true", *(options or []),
        ]  # fmt: skip
        for title in ("with images.csv", "without"):
            seconds = [_seconds(command) for _ in range(1 + repeats)][1:]
            print(f"{title:16}{statistics.median(seconds):6.1f} s", flush=True)
            (folder / "images.csv").unlink(missing_ok=True)


def _seconds(command: list[str]) -> float:
    started = time.perf_counter()
    seconds = None
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:  # noqa: S603
        for line in process.stdout or []:
            if line.startswith("fold 0 epoch 1"):
                seconds = time.perf_counter() - started
    if seconds is None:
        raise RuntimeError(f"no step was made; exit code {process.returncode}")
    return seconds


@script
def main(arguments: list[str]) -> None:
    """Parse the command line."""
    call(measure, __doc__, arguments)


if __name__ == "__main__":
    sys.exit(main())
