"""The process of one fold, started by `melanoma.training.launch` (and again by Lightning)."""

import sys

from melanoma.command_line import script
from melanoma.training.config import parse_config
from melanoma.training.fold import train_fold


@script
def main(arguments: list[str]) -> None:
    config = parse_config(arguments)
    result = train_fold(config, int(config.folds))
    if result:
        print(
            f"fold {result.fold}: AUC {result.auc:.4f} at epoch {result.best_epoch}, "
            f"{result.seconds:.0f} s",
            flush=True,
        )


if __name__ == "__main__":
    sys.exit(main())
