"""Folds by Ray beside folds by the local launcher; and a fold on two processes beside one.

Photographs of ../shared/data/isic2018, the whole command from its start to its end, with as many
threads on both sides. Few epochs by default: what Ray adds is paid once a call and a fold, so it
weighs more in them than in a real run. Commands alternate, so that both see the same machine.
"""

import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from statistics import median

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "src"))

from jsonargparse import ArgumentParser  # noqa: E402

from melanoma.command_line import script  # noqa: E402
from melanoma.folds.creation import create_folds  # noqa: E402
from melanoma.images.workers import available_cores  # noqa: E402

DATA_DIR = ROOT.parent / "shared" / "data" / "isic2018"


def compare(
    data_dir: Path = DATA_DIR,
    config: Path = ROOT / "configs" / "cpu_small.yaml",
    epochs: int = 3,
    rounds: int = 3,
    fold: str = "all",
    options: list[str] | None = None,
) -> None:
    """Print seconds and ratios: the median of the rounds, and each.

    Args:
        data_dir: A competition folder with photographs.
        config: The recipe.
        epochs: Of each fold.
        rounds: How often each command is run.
        fold: Folds of the comparison of launchers.
        options: Further options of train_folds.py.
    """
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        create_folds(data_dir, output=folder / "folds.csv")
        common = [
            f"--config={config}", f"--data.data_dir={data_dir}", "--trainer.accelerator=cpu",
            f"--data.folds_csv={folder / 'folds.csv'}", f"--trainer.max_epochs={epochs}",
            *(options or []),
        ]  # fmt: skip
        every = [*common, f"--fold={fold}"]
        ray = [*every, "--launcher=ray"]
        measure({"local launcher": every, "ray": ray}, rounds, folder)
        n_cores = len(available_cores())
        one = [*common, "--fold=0", "--parallel_folds=1"]
        two = [*one, "--trainer.devices=2", "--trainer.strategy=ddp", "--data.batch_size=16"]
        print(f"{n_cores} threads in all, 32 photographs a step in all:")
        threads = {"one process": n_cores, "two processes": max(1, n_cores // 2)}
        measure({"one process": one, "two processes": two}, rounds, folder, threads)


def measure(
    commands: dict[str, list[str]],
    rounds: int,
    folder: Path,
    threads: dict[str, int] | None = None,
) -> None:
    """Run each command once a round, and print what it took beside the first."""
    seconds: dict[str, list[float]] = {name: [] for name in commands}
    for number in range(rounds):
        for name, options in commands.items():
            run_dir = folder / f"{name} {number}".replace(" ", "_")
            script_py = str(ROOT / "scripts" / "train_folds.py")
            command = [sys.executable, script_py, *options, f"--run_dir={run_dir}"]
            environment = dict(os.environ)
            if threads:
                environment["OMP_NUM_THREADS"] = str(threads[name])
            started = time.perf_counter()
            subprocess.run(command, check=True, stdout=subprocess.DEVNULL, env=environment)  # noqa: S603
            seconds[name].append(time.perf_counter() - started)
    base = median(next(iter(seconds.values())))
    for name, its in seconds.items():
        each = " ".join(f"{value:.1f}" for value in its)
        print(f"{name:>16} {median(its):8.1f} s {median(its) / base:7.2f}x  ({each})", flush=True)


@script
def main(arguments: list[str]) -> None:
    """Parse the command line."""
    parser = ArgumentParser(description=__doc__, allow_abbrev=False)
    parser.add_function_arguments(compare)
    compare(**parser.instantiate(parser.parse_args(arguments)))


if __name__ == "__main__":
    sys.exit(main())
