"""Draw the embedded sample: a small competition of skin lesions, drawn by code."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "src"))

from jsonargparse import ArgumentParser

from melanoma.command_line import script
from melanoma.images.sample import make_sample


@script
def main(arguments: list[str]) -> None:
    options = parser()
    print(make_sample(**options.instantiate(options.parse_args(arguments))))


def parser() -> ArgumentParser:
    made = ArgumentParser(description=__doc__, allow_abbrev=False)
    made.add_function_arguments(make_sample)
    return made


if __name__ == "__main__":
    sys.exit(main())
