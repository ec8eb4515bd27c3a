"""Train folds: `--config configs/x.yaml --fold 0`, `--fold 0,2` or `--fold all`."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "src"))

from melanoma.command_line import script
from melanoma.training.config import parse_config
from melanoma.training.launch import train_folds


@script
def main(arguments: list[str]) -> None:
    print(train_folds(parse_config(arguments)))


if __name__ == "__main__":
    sys.exit(main())
