"""Train configurations x seeds x folds, and blend them: `--config a.yaml b.yaml --seeds 0 1`.

Each run is runs/<config name>-seed<seed>; what is finished is skipped. Every other option is one of
train_folds.py, for all runs: `--trainer.max_epochs 2`, `--launcher ray`.
"""

import sys
from argparse import ArgumentParser
from pathlib import Path
from typing import get_args

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "src"))

from melanoma.command_line import script
from melanoma.ensemble.blending import MethodChoice
from melanoma.run_folder import RUNS
from melanoma.sweeping.runs import read_runs
from melanoma.sweeping.sweep import sweep


@script
def main(arguments: list[str]) -> None:
    options, others = parser().parse_known_args(arguments)
    runs = read_runs(
        options.config, options.seeds, [*others, f"--fold={options.fold}"], options.runs_dir
    )
    done = sweep(runs, options.output_dir or options.runs_dir / "sweep", options.method)
    print(done.as_text())
    done.check()


def parser() -> ArgumentParser:
    made = ArgumentParser(description=__doc__, allow_abbrev=False)
    add = made.add_argument
    add(
        "--config", nargs="+", type=Path, required=True, help="YAML files of settings, see configs/"
    )
    add("--seeds", nargs="+", type=int, default=[42], help="each is a run of each configuration")
    add("--fold", default="all", help="folds of each run: 0, or 0,2, or all")
    add("--runs_dir", type=Path, default=RUNS, help="the folder of the runs")
    add("--output_dir", type=Path, help="where the blend goes; default <runs_dir>/sweep")
    methods = get_args(MethodChoice)
    add("--method", choices=methods, default="mean", help="of blending, see build_submission.py")
    return made


if __name__ == "__main__":
    sys.exit(main())
