"""The runs of a sweep: one for each configuration and seed, all checked before any is trained."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from melanoma.errors import ConfigError, name_some
from melanoma.run_folder import RUNS, RunFolder
from melanoma.training.config import RunConfig, parse_config
from melanoma.training.inputs import check_inputs, parse_folds
from melanoma.training.launch import check_call, share_machine
from melanoma.training.processes import Share


@dataclass(frozen=True)
class SweepRun:
    """One of the runs.

    Attributes:
        config: Its whole configuration.
        asked: The folds of it that are asked for.
    """

    config: RunConfig
    asked: list[int]

    @property
    def title(self) -> str:
        """Its name: `baseline-seed0`."""
        return self.config.run_dir.name

    @property
    def folder(self) -> RunFolder:
        """Where it is."""
        return RunFolder(self.config.run_dir)


def read_runs(
    configs: Sequence[Path], seeds: Sequence[int], options: Sequence[str], runs_dir: Path = RUNS
) -> list[SweepRun]:
    """The runs of a sweep, seed after seed: a sweep that is stopped has compared what it could.

    Args:
        configs: Recipes.
        seeds: Of each.
        options: Of train_folds.py, for all of them.
        runs_dir: The folder of the runs, each named `<config name>-seed<seed>`.

    Raises:
        MelanomaError: If a recipe, a table or the options cannot be used.
    """
    _refuse_own_options(options)
    names = [path.stem for path in configs]
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice or len(set(seeds)) < len(seeds):
        what = f"--config {name_some(twice)}" if twice else f"--seeds {name_some(seeds)}"
        raise ConfigError(
            f"{what}: twice the same name, but a run is named <config name>-seed<seed>. Rename one, "
            "or give each once."
        )
    runs = [
        _read_run(path, [*options, f"--seed={seed}", f"--run_dir={_run_dir(runs_dir, path, seed)}"])
        for seed in seeds
        for path in configs
    ]
    for run in runs[: len(configs)]:  # the others differ in their seed alone
        check_call(run.config, run.asked)
        check_inputs(run.config, run.asked)
    return runs


def share_of(runs: Sequence[SweepRun]) -> list[Share]:
    """How this machine is divided between the folds of all runs.

    Raises:
        ConfigError: If they cannot share it.
    """
    n_asked = sum(len(run.asked) for run in runs)
    shares = [share_machine(run.config, n_asked) for run in runs]
    for run, its in zip(runs, shares):
        if its != shares[0]:
            raise ConfigError(
                f"{runs[0].title} and {run.title} would divide this machine differently "
                f"({len(shares[0])} and {len(its)} folds at a time). Give --parallel_folds, or the "
                "same --trainer.accelerator and --trainer.devices for all."
            )
    return shares[0]


def _refuse_own_options(options: Sequence[str]) -> None:
    for name, instead in (("seed", "--seeds"), ("run_dir", "--runs-dir")):
        if any(word.partition("=")[0] == f"--{name}" for word in options):
            raise ConfigError(
                f"--{name}: a sweep has several. Give {instead}; each run is "
                "<config name>-seed<seed> in the folder of runs."
            )


def _run_dir(runs_dir: Path, config: Path, seed: int) -> Path:
    return runs_dir / f"{config.stem}-seed{seed}"


def _read_run(path: Path, options: Sequence[str]) -> SweepRun:
    config = parse_config(["--config", str(path), *options])
    if config.find_lr or config.find_batch_size:
        raise ConfigError(
            "--find_lr and --find_batch_size are of one recipe: give them to scripts/train_folds.py."
        )
    return SweepRun(config, parse_folds(config))
