"""Folds by Ray beside folds by the local launcher; and a fold on two processes beside one.

Photographs of ../shared/data/isic2018, the whole command from its start to its end, with as many
threads on both sides. Few epochs by default: what Ray adds is paid once a call and a fold, so it
weighs more in them than in a real run. Commands alternate, so that both see the same machine.
"""

import sys
import tempfile
from pathlib import Path
from statistics import median

from common import ROOT, SHARED, call, run_timed, short_training

from melanoma.command_line import script
from melanoma.images.workers import available_cores

DATA_DIR = SHARED / "isic2018"


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
        on_processor = ["--trainer.accelerator=cpu", *(options or [])]
        common = short_training(data_dir, config, epochs, folder, on_processor)
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
            n_threads = threads[name] if threads else None
            seconds[name].append(run_timed([*options, f"--run_dir={run_dir}"], n_threads).seconds)
    base = median(next(iter(seconds.values())))
    for name, its in seconds.items():
        each = " ".join(f"{value:.1f}" for value in its)
        print(f"{name:>16} {median(its):8.1f} s {median(its) / base:7.2f}x  ({each})", flush=True)


@script
def main(arguments: list[str]) -> None:
    """Parse the command line."""
    call(compare, __doc__, arguments)


if __name__ == "__main__":
    sys.exit(main())
