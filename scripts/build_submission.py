"""Blend runs or submissions, print what the blend is worth, and write submission.csv."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "src"))

from jsonargparse import ArgumentParser

from melanoma.command_line import script
from melanoma.ensemble.submission import build_submission

LISTS = {
    "run_dir": (Path, "folders that scripts/train_folds.py wrote, all their folds finished"),
    "oof": (Path, "tables of out-of-fold predictions made elsewhere"),
    "submissions": (Path, "with --oof, of the same models in the same order; or alone"),
    "weights": (float, "for --method mean, rank or logit, in the order of what is blended"),
}
SWITCHES = {
    "context": "correct by the patient's other images, if that is better beyond noise",
    "allow_missing_folds": "build from the folds that are finished",
    "overwrite": "replace files that another command wrote",
}


@script
def main(arguments: list[str]) -> None:
    options = parser()
    built = build_submission(**options.instantiate(options.parse_args(arguments)))
    print(f"{built.as_text()}\n\n{built.path}".lstrip("\n"))


def parser() -> ArgumentParser:
    made = ArgumentParser(description=__doc__, allow_abbrev=False)
    for name, (kind, description) in LISTS.items():
        made.add_argument(f"--{name}", nargs="+", type=kind, default=[], help=description)
    made.add_function_arguments(build_submission, skip={*LISTS, *SWITCHES})
    for name, description in SWITCHES.items():
        made.add_argument(f"--{name}", action="store_true", help=description)
    return made


if __name__ == "__main__":
    sys.exit(main())
