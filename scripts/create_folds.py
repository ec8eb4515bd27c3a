"""Write patient-disjoint, stratified folds for a competition's train.csv; no image is needed."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "src"))

from jsonargparse import ArgumentParser

from melanoma.command_line import script
from melanoma.fold_files import create_folds


@script
def main(arguments: list[str]) -> None:
    parser = ArgumentParser(description=__doc__, allow_abbrev=False)
    parser.add_function_arguments(create_folds)
    options = parser.instantiate(parser.parse_args(arguments))
    print(create_folds(**options).to_string(index=False))
    print(options.output)


if __name__ == "__main__":
    sys.exit(main())
