"""Make resized copies of a competition's photographs: a competition folder of its own."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "src"))

from jsonargparse import ArgumentParser

from melanoma.command_line import script
from melanoma.images.prepare import prepare_images


@script
def main(arguments: list[str]) -> int:
    prepared = prepare_images(**parser().parse_args(arguments))
    print(prepared.as_text())
    if prepared.problem:
        print(f"error: {prepared.problem}", file=sys.stderr)
        return 1
    print(prepared.output_dir)
    return 0


def parser() -> ArgumentParser:
    made = ArgumentParser(description=__doc__, allow_abbrev=False)
    made.add_function_arguments(prepare_images, skip={"square", "skip_broken"})
    add = made.add_argument
    add(
        "--square",
        action="store_true",
        help="squares of exactly that size, the longer side squeezed",
    )
    add(
        "--skip_broken",
        action="store_true",
        help="leave broken training photographs out of the output's train.csv; see broken.csv",
    )
    return made


if __name__ == "__main__":
    sys.exit(main())
