"""Five folds of configs/cpu_small.yaml: one after the other, and side by side.

Real photographs of ../shared/data/isic2018, the whole command from its start to its end. Few
epochs by default; the start of each fold's process weighs more in them than in a real run.
"""

import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "src"))

from jsonargparse import ArgumentParser  # noqa: E402

from melanoma.command_line import script  # noqa: E402
from melanoma.folds.creation import create_folds  # noqa: E402

DATA_DIR = ROOT.parent / "shared" / "data" / "isic2018"


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
        create_folds(data_dir, output=folder / "folds.csv")
        base = None
        for number in parallel or [1, 2]:
            command = [
                sys.executable, str(ROOT / "scripts" / "train_folds.py"), f"--config={config}",
                "--fold=all", f"--run_dir={folder / f'run_{number}'}", f"--data.data_dir={data_dir}",
                f"--data.folds_csv={folder / 'folds.csv'}", f"--trainer.max_epochs={epochs}",
                f"--parallel_folds={number}", *(options or []),
            ]  # fmt: skip
            started = time.perf_counter()
            subprocess.run(command, check=True, stdout=subprocess.DEVNULL)  # noqa: S603
            seconds = time.perf_counter() - started
            base = base or seconds
            print(f"{number} at a time {seconds:8.1f} s {base / seconds:7.2f}x", flush=True)


@script
def main(arguments: list[str]) -> None:
    """Parse the command line."""
    parser = ArgumentParser(description=__doc__, allow_abbrev=False)
    parser.add_function_arguments(compare)
    compare(**parser.instantiate(parser.parse_args(arguments)))


if __name__ == "__main__":
    sys.exit(main())
