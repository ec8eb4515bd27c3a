"""What the benchmarks share: the project's code, command lines, and commands that are timed."""

import os
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "src"))  # a benchmark imports this first, and then the project's code

from jsonargparse import ArgumentParser  # noqa: E402

SHARED = ROOT.parent / "shared" / "data"
TRAIN_FOLDS = [sys.executable, str(ROOT / "scripts" / "train_folds.py")]


@dataclass(frozen=True)
class Used:
    """What a command has taken.

    Attributes:
        seconds: From its start to its end.
        peak_mb: Of its own process's memory.
    """

    seconds: float
    peak_mb: int


def call(function: Callable[..., None], description: str | None, arguments: list[str]) -> None:
    """Call a function whose parameters are the options of the command line."""
    parser = ArgumentParser(description=description, allow_abbrev=False)
    parser.add_function_arguments(function)
    function(**parser.instantiate(parser.parse_args(arguments)))


def short_training(
    data_dir: Path, config: Path, epochs: int, folder: Path, options: Sequence[str]
) -> list[str]:
    """The command that trains few epochs of each fold, with folds written for it.

    Args:
        data_dir: A competition folder with photographs.
        config: The recipe.
        epochs: Of each fold.
        folder: Where the folds are written.
        options: Further ones of train_folds.py.
    """
    # Not for those who measure their own process, which import this too.
    from melanoma.folds.creation import create_folds

    folds_csv = folder / "folds.csv"
    create_folds(data_dir, output=folds_csv)
    return [
        *TRAIN_FOLDS, f"--config={config}", f"--data.data_dir={data_dir}",
        f"--data.folds_csv={folds_csv}", f"--trainer.max_epochs={epochs}", *options,
    ]  # fmt: skip


def run_timed(command: Sequence[str], n_threads: int | None = None) -> Used:
    """Run a command to its end, without what it prints.

    Args:
        command: Its words.
        n_threads: Of its computations; by default as it finds best.

    Raises:
        SystemExit: If it fails.
    """
    threads: Mapping[str, str] = {} if n_threads is None else {"OMP_NUM_THREADS": str(n_threads)}
    environment = {**os.environ, **threads}
    start = time.perf_counter()
    child = subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL)  # noqa: S603
    _, status, usage = os.wait4(child.pid, 0)
    seconds = time.perf_counter() - start
    child.returncode = os.waitstatus_to_exitcode(status)
    if status:
        raise SystemExit(f"{' '.join(command[:2])} failed with exit code {child.returncode}")
    return Used(seconds, usage.ru_maxrss // 1024)  # kB on Linux
