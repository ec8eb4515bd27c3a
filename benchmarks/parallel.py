"""Five folds of configs/cpu_small.yaml: one after the other, and side by side.

Real photographs of ../shared/data/isic2018, the whole command from its start to its end. Few
epochs by default; the start of each fold's process weighs more in them than in a real run.
"""

import sys
import tempfile
from pathlib import Path

from common import ROOT, SHARED, call, run_timed, short_training

from melanoma.command_line import script

DATA_DIR = SHARED / "isic2018"


def compare(
    data_dir: Path = DATA_DIR,
    config: Path = ROOT / "configs" / "cpu_small.yaml",
    epochs: int = 3,
    parallel: list[int] | None = None,
    options: list[str] | None = None,
) -> None:
    """Print seconds and their ratio for each number of folds at a time.

    Args:
        data_dir: A competition folder with photographs.
        config: The recipe.
        epochs: Of each fold.
        parallel: Folds at a time; by default 1 and 2.
        options: Further options of train_folds.py.
    """
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        common = short_training(data_dir, config, epochs, folder, options or [])
        base = None
        for number in parallel or [1, 2]:
            own = [f"--run_dir={folder / f'run_{number}'}", f"--parallel_folds={number}"]
            seconds = run_timed([*common, "--fold=all", *own]).seconds
            base = base or seconds
            print(f"{number} at a time {seconds:8.1f} s {base / seconds:7.2f}x", flush=True)


@script
def main(arguments: list[str]) -> None:
    """Parse the command line."""
    call(compare, __doc__, arguments)


if __name__ == "__main__":
    sys.exit(main())
