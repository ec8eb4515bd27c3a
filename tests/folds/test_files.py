from pathlib import Path

import pandas as pd
import pytest

from melanoma.errors import ConfigError, TableError
from melanoma.folds.files import description_path, read_folds


def test_folds_are_read_back_with_their_table(competition: Path, folds_csv: Path) -> None:
    train = read_folds(folds_csv, competition)
    written = pd.read_csv(folds_csv)
    assert list(written.columns) == ["image_name", "fold"]
    assert train["fold"].tolist() == written["fold"].tolist()
    assert (
        train["image_name"].tolist()
        == pd.read_csv(competition / "train.csv")["image_name"].tolist()
    )


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
        (lambda t: t.assign(fold=t["fold"] - 2), r"fold of .* \(-2\).* is not a number from 0"),
        (lambda t: t.assign(fold=t["fold"] + 0.5), r"is not a number from 0"),
        (lambda t: t.assign(fold=t["fold"] * 1e300), r"\(1e\+300\).* is not a number from 0"),
        (lambda t: t.assign(fold="inf"), r"TRAIN_000 \(inf\).* is not a number from 0"),
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


def test_images_in_no_fold_are_not_among_those_of_the_folds(
    competition: Path, folds_csv: Path
) -> None:
    table = pd.read_csv(folds_csv)
    table.loc[5, "fold"] = -1
    table.to_csv(folds_csv, index=False)
    train = read_folds(folds_csv, competition)
    assert len(train) == 39
    assert "TRAIN_005" not in set(train["image_name"])
