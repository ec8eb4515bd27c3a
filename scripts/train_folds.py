"""Train folds: `--config configs/x.yaml --fold 0`, `--fold 0,2` or `--fold all`; or `--find-lr`."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "src"))

from melanoma.command_line import script
from melanoma.report.closing import close_run
from melanoma.training.config import config_parser, parse_config
from melanoma.training.inputs import parse_folds
from melanoma.training.launch import train_folds
from melanoma.training.trials import find_batch_size, find_learning_rate

parser = config_parser


@script
def main(arguments: list[str]) -> None:
    config = parse_config(arguments)
    if config.find_lr:
        found = find_learning_rate(config, parse_folds(config)[0])
        print(f"{found.picture}: suggested --model.learning_rate {found.learning_rate:.2g}")
    elif config.find_batch_size:
        print(f"suggested --data.batch_size {find_batch_size(config, parse_folds(config)[0])}")
    elif run_dir := train_folds(config):
        close_run(run_dir)
        print(run_dir)


if __name__ == "__main__":
    sys.exit(main())
