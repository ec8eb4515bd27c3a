"""Train, predict or blend as a Kaggle kernel: `--config configs/x.yaml --fold 0 --id owner/slug`.

Builds the kernel and pushes it; `--dry-run` stops before the push, `--follow` goes on to the end.
Settings of the recipe may be changed as for train_folds.py: `--data.image_size 384`, and others
after `--`.
"""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "src"))

from jsonargparse import ArgumentParser

from melanoma.command_line import script
from melanoma.kaggle.cli import call_parser, parse_call


@script
def main(arguments: list[str]) -> int:
    return parse_call(arguments, __doc__ or "")()


def parser(call: str = "push") -> ArgumentParser:
    return call_parser(call, __doc__ or "")


if __name__ == "__main__":
    sys.exit(main())
