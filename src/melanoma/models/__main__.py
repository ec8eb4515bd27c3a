"""Save the published weights of a network, to bring them to where there is no internet."""

import sys
from pathlib import Path

from jsonargparse import ArgumentParser

from melanoma.command_line import script
from melanoma.models.published import save_published


@script
def main(arguments: list[str]) -> None:
    """Parse, save, and print the path."""
    options = parser().parse_args(arguments)
    print(save_published(options.backbone, options.output_dir))


def parser() -> ArgumentParser:
    """The parser of everything that `python -m melanoma.models` understands."""
    made = ArgumentParser(description=__doc__, allow_abbrev=False)
    add = made.add_argument
    add("--backbone", required=True, help="name of the network, as --model.backbone")
    add("--output_dir", type=Path, default=Path("weights"), help="folder to write to")
    return made


if __name__ == "__main__":
    sys.exit(main())
