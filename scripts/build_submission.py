"""Join a run's out-of-fold predictions, print what they score, and write submission.csv."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "src"))

from jsonargparse import ArgumentParser

from melanoma.command_line import script
from melanoma.ensemble.submission import build_submission


@script
def main(arguments: list[str]) -> None:
    parser = ArgumentParser(description=__doc__, allow_abbrev=False)
    parser.add_function_arguments(build_submission)
    built = build_submission(**parser.instantiate(parser.parse_args(arguments)))
    print(built.scores.as_text())
    print(built.submission_csv or built.oof_csv)


if __name__ == "__main__":
    sys.exit(main())
