"""Draw what the network is fed in training; every option of train_folds.py is understood too."""

import sys
from argparse import ArgumentParser
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "src"))

from melanoma.command_line import script
from melanoma.errors import ConfigError
from melanoma.images.batch_picture import draw_batch
from melanoma.training.config import parse_config

# So few photographs are not worth the start of other processes.
IN_THIS_PROCESS = "--data.num_workers=0"


@script
def main(arguments: list[str]) -> None:
    options, others = parser().parse_known_args(arguments)
    config = parse_config([*others, IN_THIS_PROCESS])
    if not config.folds.isdecimal():
        raise ConfigError(f"--fold {config.folds}: give the number of one fold, such as 0.")
    path = options.output or config.run_dir / "batch.png"
    data = config.data_module(int(config.folds))
    print(draw_batch(data, path, options.epoch, options.n_images, config.run_dir.name))


def parser() -> ArgumentParser:
    made = ArgumentParser(
        description=__doc__,
        epilog="All else: see train_folds.py --help. --config and --fold say which run and fold.",
        allow_abbrev=False,
    )
    add = made.add_argument
    add("--output", type=Path, help="the .png to write; default runs/<config name>/batch.png")
    add("--epoch", type=int, default=0, help="epoch from 0: its order, its random changes")
    add("--n_images", type=int, default=32, help="how many photographs")
    return made


if __name__ == "__main__":
    sys.exit(main())
