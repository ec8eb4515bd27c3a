import json
from pathlib import Path

import pandas as pd
import pytest

from melanoma.errors import ConfigError, TableError
from melanoma.fold_files import create_folds, description_path, read_folds


def test_folds_are_read_back_with_their_table(competition: Path, folds_csv: Path) -> None:
    train = read_folds(folds_csv, competition)
    written = pd.read_csv(folds_csv)
    assert list(written.columns) == ["image_name", "fold"]
    assert train["fold"].tolist() == written["fold"].tolist()
    assert (
        train["image_name"].tolist()
        == pd.read_csv(competition / "train.csv")["image_name"].tolist()
    )


def test_the_description_says_how_the_folds_were_made(competition: Path, folds_csv: Path) -> None:
    description = json.loads(description_path(folds_csv).read_text())
    assert (description["scheme"], description["seed"], description["k"]) == ("grouped", 42, 2)
    assert sum(fold["images"] for fold in description["balance"]) == 40


def test_folds_made_elsewhere_need_no_description(competition: Path, folds_csv: Path) -> None:
    description_path(folds_csv).unlink()
    assert read_folds(folds_csv, competition)["fold"].nunique() == 2


def test_a_changed_training_table_is_noticed(competition: Path, folds_csv: Path) -> None:
    path = competition / "train.csv"
    path.write_text(path.read_text().replace("torso", "trunk"))
    with pytest.raises(TableError, match=r"made from another train.csv .*create_folds.py"):
        read_folds(folds_csv, competition)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda t: t.iloc[1:], r"no fold for TRAIN_000 of"),
        (lambda t: t.replace("TRAIN_001", "X"), r"no fold for TRAIN_001"),
        (lambda t: pd.concat([t, t.iloc[:1]]), r"image_name TRAIN_000 occurs more than once"),
        (lambda t: pd.concat([t, t.iloc[:1].replace("TRAIN_000", "X")]), r"X not in .*train.csv"),
        (lambda t: t.assign(fold=t["fold"] * 2), r"numbered from 0 without gaps .* has 0, 2"),
        (lambda t: t.assign(fold=0), r"at least 2, but it has 0"),
        (lambda t: t.assign(fold=t["fold"] - 1), r"fold of .* \(-1\).* is not a number from 0"),
        (lambda t: t.assign(fold=t["fold"] + 0.5), r"is not a number from 0"),
        (lambda t: t.assign(fold="a"), r"TRAIN_000 \(a\).* is not a number from 0"),
        (lambda t: t.drop(columns="fold"), r"no column fold"),
        (lambda t: t.assign(fold=[0] * 39 + [1]), r"fold 1 holds one class only"),
    ],
)
def test_a_fold_file_that_does_not_fit_is_named(
    competition: Path, folds_csv: Path, change: object, message: str
) -> None:
    changed = change(pd.read_csv(folds_csv))  # type: ignore[operator]
    changed.to_csv(folds_csv, index=False)
    with pytest.raises((TableError, ConfigError), match=message):
        read_folds(folds_csv, competition)


def test_a_damaged_description_is_named(competition: Path, folds_csv: Path) -> None:
    description_path(folds_csv).write_text("{")
    with pytest.raises(TableError, match=r"folds.json: not readable as JSON"):
        read_folds(folds_csv, competition)


def test_only_what_can_be_made_again_is_replaced(competition: Path, folds_csv: Path) -> None:
    create_folds(competition, n_folds=3, output=folds_csv)
    folds_csv.write_text(folds_csv.read_text().replace(",2", ",1"))
    edited = folds_csv.read_text()
    with pytest.raises(ConfigError, match=r"was not written by create_folds.py .* --overwrite"):
        create_folds(competition, n_folds=2, output=folds_csv)
    assert folds_csv.read_text() == edited
    create_folds(competition, n_folds=2, output=folds_csv, overwrite=True)
