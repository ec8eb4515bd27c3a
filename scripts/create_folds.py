"""Write patient-disjoint, balanced folds for a competition's train.csv, or judge folds there are."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "src"))

from jsonargparse import ArgumentParser

from melanoma.command_line import script
from melanoma.folds.creation import create_folds
from melanoma.folds.review import check_folds, compare_folds


@script
def main(arguments: list[str]) -> int:
    options = parser().parse_args(arguments)
    judge = options.pop("check"), options.pop("compare"), options.pop("fold_column")
    finds_duplicates, suffix = options.pop("find_duplicates"), options.pop("prefer_suffix")
    if any(judge[:2]):
        return _judge(options, *judge)
    if finds_duplicates:
        from melanoma.images.duplicates import find_duplicates

        given = {name: options[name] for name in ("data_dir", "output", "duplicates", "external")}
        options.duplicates = find_duplicates(**given, prefer_suffix=suffix)
    print(create_folds(**options).as_text(), options.output, sep="\n")
    return 0


def _judge(options, check, compare, fold_column) -> int:  # type: ignore[no-untyped-def]
    common = {name: options[name] for name in ("data_dir", "duplicates", "balance_on")}
    if compare:
        made = {name: options[name] for name in ("n_folds", "seed")}
        table = compare_folds(splits=compare, fold_column=fold_column, **common, **made)
        print(table.to_string(index=False))
        return 0
    balance = check_folds(folds_csv=check, fold_column=fold_column, **common)
    print(balance.as_text())
    print(balance.leaks_as_text() or f"{check}: no patient in two folds")
    return 1 if balance.split_patients else 0


def parser() -> ArgumentParser:
    made = ArgumentParser(description=__doc__, allow_abbrev=False)
    made.add_function_arguments(create_folds, skip={"balance_on", "overwrite"})
    add = made.add_argument
    add("--balance_on", nargs="+", default=[], help="further columns of train.csv to balance")
    add("--overwrite", action="store_true", help="replace a fold file that cannot be made again")
    add("--find_duplicates", action="store_true", help="find near-identical photographs first")
    add("--prefer_suffix", help="of those, where a name has several files: .jpg, .jpeg or .png")
    add("--check", type=Path, help="only judge this fold file; exit code 1 if a patient leaks")
    add("--compare", nargs="+", help="only judge FILE, FILE:COLUMN or SCHEME side by side")
    add("--fold_column", default="fold", help="column to judge; x%%5 for x modulo 5")
    return made


if __name__ == "__main__":
    sys.exit(main())
