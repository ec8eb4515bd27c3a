"""Tables: train.csv, test.csv, sample_submission.csv, duplicates, images of other years, folds."""

from pathlib import Path

import pandas as pd

from bad_input.case import (
    CREATE,
    DATA,
    FOLDS_CSV,
    FORM_CSV,
    PREPARE,
    SHOW,
    TEST_CSV,
    TRAIN,
    TRAIN_CSV,
    Case,
    both,
    cut,
    holds,
    is_a_folder,
    is_gone,
    table,
    text,
    value,
    without_column,
)

IN_TRAIN = r"input/tiny/train\.csv"
FOLDS = r"folds/folds\.csv"


def first_twice(rows: pd.DataFrame) -> pd.DataFrame:
    return pd.concat([rows, rows.iloc[:1]])


def header(path: Path) -> Case:
    return Case(
        f"{path.name} has no rows",
        CREATE if path == TRAIN_CSV else TRAIN,
        rf"{path}: the table has a header but no rows\. Download",
        text(path, lambda content: content.splitlines()[0] + "\n"),
    )


def named(name: str) -> Case:
    return Case(
        f"image_name is {name!r}",
        CREATE,
        rf"{IN_TRAIN}: image_name .* is not a plain file name.*; give the name alone",
        value(TRAIN_CSV, "image_name", 3, name),
    )


TRAIN_TABLE = [
    Case("no data folder", (*CREATE, "--data-dir=away"), r"away: no such folder\. Give"),
    Case(
        "no train.csv", CREATE, rf"{IN_TRAIN}: no such file\. That folder has", is_gone(TRAIN_CSV)
    ),
    Case("train.csv is empty", CREATE, rf"{IN_TRAIN}: the file is empty\. Down", holds(TRAIN_CSV)),
    Case("train.csv is a folder", CREATE, rf"{IN_TRAIN}: .*folder.*", is_a_folder(TRAIN_CSV)),
    Case(
        "train.csv has semicolons",
        CREATE,
        rf"{IN_TRAIN}: no column image_name, target; it has .*Rename",
        text(TRAIN_CSV, lambda content: content.replace(",", ";")),
    ),
    Case(
        "train.csv has tabs",
        TRAIN,
        rf"{IN_TRAIN}: no column image_name, target; it has .*Rename",
        text(TRAIN_CSV, lambda content: content.replace(",", "\t")),
    ),
    Case(
        "train.csv has no targets",
        CREATE,
        rf"{IN_TRAIN}: no column target; .*Rename",
        without_column(TRAIN_CSV, "target"),
    ),
    Case(
        "train.csv is a test.csv",
        CREATE,
        rf"{IN_TRAIN}: no column target; .*give another file",
        lambda: TRAIN_CSV.write_bytes(TEST_CSV.read_bytes()),
    ),
    Case(
        "a column is misspelt",
        CREATE,
        rf"{IN_TRAIN}: no column image_name; .*Did you mean image-name\?",
        text(TRAIN_CSV, lambda content: content.replace("image_name", "image-name", 1)),
    ),
    Case(
        "an image twice",
        CREATE,
        rf"{IN_TRAIN}: image_name TRAIN_000 occurs more than once.*keep one",
        table(TRAIN_CSV, first_twice),
    ),
    Case(
        "an image without name",
        CREATE,
        rf"{IN_TRAIN}: no image_name in line 5\. Fill it in",
        value(TRAIN_CSV, "image_name", 3, ""),
    ),
    *(
        Case(
            f"a target is {wrong!r}",
            CREATE,
            rf"{IN_TRAIN}: target of TRAIN_003 \(.*\) is neither 0 nor 1\. .*correct",
            value(TRAIN_CSV, "target", 3, wrong),
        )
        for wrong in ("2", "", "yes", "0.5", "-1", "inf")
    ),
    Case(
        "one class only",
        CREATE,
        r"only 0 patients with a melanoma.*Check the target column of train\.csv",
        table(TRAIN_CSV, lambda rows: rows.assign(target="0")),
    ),
    Case(
        "all are of one patient",
        CREATE,
        r"only 1 patients with a melanoma.*at least 2\. Check",
        table(TRAIN_CSV, lambda rows: rows.assign(patient_id="P")),
    ),
    Case(
        "train.csv is Latin-1",
        CREATE,
        rf"{IN_TRAIN}: not a readable CSV file .*Save it as UTF-8",
        text(TRAIN_CSV, lambda content: content.replace("torso", "têté"), "latin-1"),
    ),
    Case(
        "train.csv is UTF-16",
        CREATE,
        rf"{IN_TRAIN}: not a readable CSV file .*Save it as UTF-8",
        text(TRAIN_CSV, lambda content: content, "utf-16"),
    ),
    Case(
        "train.csv is a photograph",
        CREATE,
        rf"{IN_TRAIN}: not a readable CSV file .*Save it as UTF-8",
        lambda: TRAIN_CSV.write_bytes((DATA / "jpeg/train/TRAIN_000.jpg").read_bytes()),
    ),
    Case(
        "a line has too many values",
        CREATE,
        rf"{IN_TRAIN}: not a readable CSV file .*line 4.*Save",
        text(TRAIN_CSV, lambda content: content.replace("TRAIN_002,", "TRAIN_002,,,", 1)),
    ),
    Case(
        "a quotation mark is not closed",
        CREATE,
        rf"{IN_TRAIN}: (not a readable CSV file|target of).*(Save|correct)",
        text(TRAIN_CSV, lambda content: content.replace("TRAIN_002,", 'TRAIN_002,"', 1)),
    ),
    *map(named, ("../other/secret", "/etc/passwd", "..", "a\\b", "a/b")),
    *map(header, (TRAIN_CSV, TEST_CSV, FORM_CSV)[:2]),
]

OTHER_TABLES = [
    Case(
        "test.csv without names",
        TRAIN,
        r"input/tiny/test\.csv: no column image_name; .*Rename",
        without_column(TEST_CSV, "image_name"),
    ),
    Case(
        "a test image twice",
        TRAIN,
        r"input/tiny/test\.csv: image_name TEST_000 occurs more than once.*keep",
        table(TEST_CSV, first_twice),
    ),
    Case("test.csv is empty", TRAIN, r"test\.csv: the file is empty\. Down", holds(TEST_CSV)),
    Case("test.csv is a folder", TRAIN, r"test\.csv: .*folder", is_a_folder(TEST_CSV)),
    Case(
        "the form has no targets",
        PREPARE,
        r"sample_submission\.csv: no column target; .*Rename",
        without_column(FORM_CSV, "target"),
    ),
    Case(
        "sample_submission.csv asks for an image that test.csv has not",
        TRAIN,
        r"test\.csv: STRANGER of .*sample_submission\.csv not in it, .*no submission.*Download both",
        value(FORM_CSV, "image_name", 2, "STRANGER"),
    ),
    Case(
        "sample_submission.csv lacks an image of test.csv",
        TRAIN,
        r"sample_submission\.csv: TEST_000 of .*test\.csv not in it",
        table(FORM_CSV, lambda rows: rows.iloc[1:]),
    ),
    Case(
        "an id of the form twice",
        PREPARE,
        r"sample_submission\.csv: image_name TEST_000 occurs more than once.*keep",
        table(FORM_CSV, first_twice),
    ),
    Case(
        "no duplicates.csv", (*CREATE, "--duplicates=pairs.csv"), r"pairs\.csv: no such file\. That"
    ),
    Case(
        "duplicates of other columns",
        (*CREATE, "--duplicates=pairs.csv"),
        r"pairs\.csv: no column image_name_1, image_name_2; .*Rename",
        holds("pairs.csv", "a,b\n1,2\n"),
    ),
    Case(
        "a duplicate without name",
        (*CREATE, "--duplicates=pairs.csv"),
        r"pairs\.csv: a name is missing in line 2\. Fill",
        holds("pairs.csv", "image_name_1,image_name_2\nTRAIN_000,\n"),
    ),
    Case(
        "duplicates with an extension",
        (*CREATE, "--duplicates=pairs.csv"),
        r"pairs\.csv: not one of its 1 pairs .*'TRAIN_000.jpg', the tables 'TRAIN_000'. Give the names",
        holds("pairs.csv", "image_name_1,image_name_2\nTRAIN_000.jpg,TRAIN_001.jpg\n"),
    ),
    Case(
        "duplicates with a comma more",
        (*CREATE, "--duplicates=pairs.csv"),
        r"pairs\.csv: its rows have more fields than its header has columns.*remove",
        holds("pairs.csv", "image_name_1,image_name_2\nTRAIN_000,TRAIN_001,x\n"),
    ),
    Case(
        "two spellings of an image",
        CREATE,
        r"train\.csv: image_name 'TRAIN_002' and 'TRAIN_002 ' are one name but for .*Rename",
        value(TRAIN_CSV, "image_name", 3, "TRAIN_002 "),
    ),
    Case(
        "folds into their own description",
        (*CREATE, "--output=new/folds.json"),
        r"--output new/folds.json: the description .*Give a .csv, such as new/folds.csv",
    ),
    Case("no external table", (*CREATE, "--external=2019.csv"), r"2019\.csv: no such file\. That"),
    Case(
        "external images are our own",
        (*CREATE, "--external=2019.csv"),
        r"2019\.csv: TRAIN_000 also in .*Remove",
        holds("2019.csv", "image_name,target\nTRAIN_000,1\n"),
    ),
]

FOLD_FILES = [
    Case("no fold file", TRAIN, rf"{FOLDS}: no such file\. That folder", is_gone(FOLDS_CSV)),
    Case(
        "no folder of folds", (*TRAIN, "--data.folds_csv=away/f.csv"), r"away/f\.csv: no such file"
    ),
    Case(
        "the fold file leaks",
        TRAIN,
        rf"{FOLDS}, fold: a leak: fold 0 .*TRAIN_P00.*create_folds\.py, .*--allow-leaks",
        both(
            is_gone(FOLDS_CSV.with_suffix(".json")),
            table(FOLDS_CSV, lambda rows: rows.assign(fold=[str(k // 3 % 2) for k in rows.index])),
        ),
    ),
    Case("the fold file is empty", TRAIN, rf"{FOLDS}: the file is empty\. Down", holds(FOLDS_CSV)),
    Case(
        "the fold file is cut",
        TRAIN,
        rf"{FOLDS}: fold of TRAI \(nan\) is not .*Run",
        cut(FOLDS_CSV),
    ),
    Case(
        "folds of another train.csv",
        TRAIN,
        rf"{FOLDS} was made from another train\.csv .*Run scripts/create_folds\.py",
        value(TRAIN_CSV, "sex", 0, "male"),
    ),
    Case(
        "a fold is missing",
        TRAIN,
        rf"{FOLDS}: folds are numbered from 0 without gaps .*has 0, 2\. Run",
        table(FOLDS_CSV, lambda rows: rows.replace({"fold": {"1": "2"}})),
    ),
    Case(
        "one fold only",
        TRAIN,
        rf"{FOLDS}: folds are numbered .*has 0\. Run",
        table(FOLDS_CSV, lambda rows: rows.assign(fold="0")),
    ),
    *(
        Case(
            f"a fold is {wrong!r}",
            TRAIN,
            rf"{FOLDS}: fold of TRAIN_003 \(.*\) is not a number from 0 .*Run",
            value(FOLDS_CSV, "fold", 3, wrong),
        )
        for wrong in ("-2", "0.5", "one", "", "inf", "1e300")
    ),
    Case(
        "an image is in no fold",
        TRAIN,
        rf"{FOLDS}: no fold for TRAIN_000 of .*Run",
        table(FOLDS_CSV, lambda rows: rows.iloc[1:]),
    ),
    Case(
        "an image has two folds",
        TRAIN,
        rf"{FOLDS}: image_name TRAIN_000 occurs more than once.*keep",
        table(FOLDS_CSV, first_twice),
    ),
    Case(
        "folds of unknown images",
        TRAIN,
        rf"{FOLDS}: STRANGE not in .*Run",
        text(FOLDS_CSV, lambda content: content + "STRANGE,0\n"),
    ),
    Case(
        "no such column of folds",
        (*TRAIN, "--data.fold_column=fold_9"),
        rf"{FOLDS}: no column fold_9; .*Did you mean fold\?",
    ),
    Case(
        "modulo nothing", (*TRAIN, "--data.fold_column=fold%x"), r"fold%x: after % comes a number"
    ),
    Case(
        "a fold of one class",
        TRAIN,
        rf"{FOLDS}: fold 1 holds one class only.*Make folds",
        both(
            table(TRAIN_CSV, lambda rows: rows.assign(target=["1", "0"] * 20)),
            table(FOLDS_CSV, lambda rows: rows.assign(fold=["0", "1", "0", "0"] * 10)),
            is_gone(FOLDS_CSV.with_suffix(".json")),
        ),
    ),
    Case(
        "folds with external images",
        TRAIN,
        rf"{FOLDS} was made with 1 images of other years\. Say",
        text(FOLDS_CSV, lambda content: content + "STRANGE,-1\n"),
    ),
    Case(
        "folds.json is damaged",
        TRAIN,
        r"folds/folds\.json: not readable as JSON .*Make the folds again",
        cut(FOLDS_CSV.with_suffix(".json")),
    ),
    Case("no such fold", (*TRAIN, "--fold=7"), r"--fold 7: .* has no fold 7, but 0, 1"),
    Case("a fold below 0", (*TRAIN, "--fold=-1"), r"--fold -1: .* has no fold -1, but 0, 1"),
    Case("folds not understood", (*TRAIN, "--fold=0;1"), r"--fold 0;1: not understood\. Give"),
    Case("a batch of all folds", (*SHOW, "--fold=all"), r"--fold all: give the number of one fold"),
    Case(
        "judging what is no fold file",
        (*CREATE, f"--check={TRAIN_CSV}"),
        rf"{IN_TRAIN}: no column fold; .*Rename",
    ),
    Case("comparing with nothing", (*CREATE, "--compare", "away.csv"), r"away\.csv: no such file"),
]

CASES = [*TRAIN_TABLE, *OTHER_TABLES, *FOLD_FILES]
