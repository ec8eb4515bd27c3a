"""Write report.html of a run, or of several: --run-dir runs/<name> [runs/<other> ...]."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "src"))

from jsonargparse import ArgumentParser

from melanoma.command_line import script
from melanoma.report.build import build_report
from melanoma.report.text import report_text

RUNS = "folders that scripts/train_folds.py wrote; several are blended and compared"


@script
def main(arguments: list[str]) -> None:
    made = parser()
    options = made.instantiate(made.parse_args(arguments))
    if options.pop("text"):
        print(report_text(options.run_dir, options.data_dir))
    else:
        print(build_report(**options))


def parser() -> ArgumentParser:
    made = ArgumentParser(description=__doc__, allow_abbrev=False)
    made.add_argument("--run_dir", nargs="+", type=Path, default=[], help=RUNS)
    made.add_function_arguments(build_report, skip={"run_dir"})
    made.add_argument("--text", action="store_true", help="only print the essentials")
    return made


if __name__ == "__main__":
    sys.exit(main())
