"""Check a run folder, or compare it with another one: --run-dir runs/<name> [--against runs/<other>].

Exit codes: 0 nothing is wrong (and with --against, all results are the same); 1 something is;
2 not a run folder, or a wrong option.
"""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "src"))

from jsonargparse import ArgumentParser

from melanoma.command_line import script
from melanoma.verification.comparison import compare_runs
from melanoma.verification.runs import verify_run


@script
def main(arguments: list[str]) -> int:
    options = parser().parse_args(arguments)
    verified = verify_run(options.run_dir)
    print(verified.as_text())
    if options.against is None:
        return 0 if verified.is_fine else 1
    compared = compare_runs(options.run_dir, options.against)
    print(f"\n{compared.as_text()}")
    return 0 if verified.is_fine and compared.is_same else 1


def parser() -> ArgumentParser:
    made = ArgumentParser(description=__doc__, allow_abbrev=False)
    made.add_argument("--run_dir", type=Path, required=True, help="what train_folds.py wrote")
    made.add_argument("--against", type=Path | None, default=None, help="a run to compare with")
    return made


if __name__ == "__main__":
    sys.exit(main())
