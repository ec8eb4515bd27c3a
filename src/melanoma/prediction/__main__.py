"""Predict the test photographs with every fold of a run, in one pass: --run-dir runs/<name>."""

import sys

from jsonargparse import ArgumentParser

from melanoma.command_line import script
from melanoma.prediction.folds import predict_folds
from melanoma.training.processes import end_with_launcher


@script
def main(arguments: list[str]) -> None:
    """Parse, predict, and say what it took."""
    end_with_launcher()
    options = parser()
    predicted = predict_folds(**options.instantiate(options.parse_args(arguments)))
    if predicted:
        print(predicted.as_text(), flush=True)


def parser() -> ArgumentParser:
    """The parser of everything that `predict_folds.py` understands."""
    made = ArgumentParser(description=__doc__, allow_abbrev=False)
    made.add_function_arguments(predict_folds, skip={"overwrite"})
    made.add_argument("--overwrite", action="store_true", help="replace the test.csv there is")
    return made


if __name__ == "__main__":
    sys.exit(main())
