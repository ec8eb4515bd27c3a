"""What a command line of scripts/train_folds.py resolves to, as YAML: `python -m` it, with that line.

`--print_config` leaves out the checks between settings and of the network's name.
"""

import sys

from melanoma.command_line import script
from melanoma.models.backbones import check_backbone
from melanoma.training.config import parse_config


@script
def main(arguments: list[str]) -> None:
    """Print the settings, or refuse them as training would."""
    config = parse_config(arguments)
    check_backbone(config.model["backbone"])
    print(config.resolved)


if __name__ == "__main__":
    sys.exit(main())
