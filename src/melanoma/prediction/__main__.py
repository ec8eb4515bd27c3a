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
    parser = ArgumentParser(description=__doc__, allow_abbrev=False)
    parser.add_function_arguments(predict_folds, skip={"overwrite"})
    parser.add_argument("--overwrite", action="store_true", help="replace the test.csv there is")
    predicted = predict_folds(**parser.instantiate(parser.parse_args(arguments)))
    if predicted:
        print(predicted.as_text(), flush=True)


if __name__ == "__main__":
    sys.exit(main())
