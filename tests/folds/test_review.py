from pathlib import Path

import pandas as pd
import pytest

from melanoma.errors import ConfigError, TableError
from melanoma.folds.creation import create_folds
from melanoma.folds.review import check_folds, compare_folds


@pytest.fixture
def elsewhere(competition: Path, tmp_path: Path) -> Path:
    """A fold file made elsewhere: other column, more folds, some images in none, some missing."""
    train = pd.read_csv(competition / "train.csv")
    codes = pd.factorize(train["patient_id"])[0] % 6
    table = pd.DataFrame({"image_name": train["image_name"], "tfrecord": codes})
    table.loc[3, "tfrecord"] = -1
    path = tmp_path / "elsewhere.csv"
    table.iloc[:-2].to_csv(path, index=False)
    return path


def test_a_fold_file_made_elsewhere_is_judged(competition: Path, elsewhere: Path) -> None:
    balance = check_folds(competition, elsewhere, "tfrecord")
    assert len(balance.per_fold) == 6
    assert balance.left_out == 3
    assert balance.split_patients == []
    assert len(check_folds(competition, elsewhere, "tfrecord%2").per_fold) == 2


def test_a_leak_is_found_and_duplicates_count(
    competition: Path, folds_csv: Path, tmp_path: Path
) -> None:
    folds = pd.read_csv(folds_csv)
    pairs = tmp_path / "pairs.csv"
    one, other = (folds.loc[folds["fold"] == k, "image_name"].iloc[0] for k in (0, 1))
    pairs.write_text(f"image_name_1,image_name_2\n{one},{other}\n")
    assert check_folds(competition, folds_csv).split_patients == []
    assert len(check_folds(competition, folds_csv, duplicates=pairs).split_patients) == 1


def test_splits_stand_side_by_side(competition: Path, folds_csv: Path, elsewhere: Path) -> None:
    splits = ["balanced", "stratified", str(folds_csv), f"{elsewhere}:tfrecord%2"]
    table = compare_folds(competition, splits, n_folds=2)
    assert table["split"].tolist() == [
        "balanced",
        "stratified",
        "folds.csv",
        "elsewhere.csv:tfrecord%2",
    ]
    assert table["patients in two folds"].tolist()[0] == "0"
    assert int(table["patients in two folds"][1]) > 0
    assert table.iloc[0, 1:].tolist() == table.iloc[2, 1:].tolist()
    assert table["left out"].tolist() == ["0", "0", "0", "3"]
    by_value = [column for column in table.columns if column.startswith("melanomas by ")]
    assert by_value == [
        f"melanomas by {name}" for name in ("sex", "site", "age", "diagnosis", "patient size")
    ]
    assert int(table["melanomas by sex"][0]) <= int(table["melanomas by sex"][3])


@pytest.mark.parametrize(
    ("column", "error", "message"),
    [
        ("fold", TableError, r"no column fold; it has image_name, tfrecord"),
        ("tfrecord%", ConfigError, r"after % comes a number of folds"),
        ("tfrecord%1", ConfigError, r"after % comes a number of folds"),
    ],
)
def test_a_column_that_cannot_be_read_is_named(
    competition: Path, elsewhere: Path, column: str, error: type[Exception], message: str
) -> None:
    with pytest.raises(error, match=message):
        check_folds(competition, elsewhere, column)


def test_folds_of_another_competition_are_named(competition: Path, tmp_path: Path) -> None:
    (tmp_path / "f.csv").write_text("image_name,fold\nX,0\nY,1\n")
    with pytest.raises(TableError, match=r"none of its images, such as X, is in .*train.csv"):
        check_folds(competition, tmp_path / "f.csv")


@pytest.mark.parametrize("written", ["{}.jpg,{}.jpg", "unknown,{}"])
def test_a_list_of_duplicates_of_other_images_is_refused(
    competition: Path, folds_csv: Path, tmp_path: Path, written: str
) -> None:
    pairs = tmp_path / "pairs.csv"
    pairs.write_text(f"image_name_1,image_name_2\n{written.format('TRAIN_001', 'TRAIN_002')}\n")
    message = r"pairs.csv: not one of its 1 pairs is of two images of the tables.*without an ext"
    with pytest.raises(TableError, match=message):
        check_folds(competition, folds_csv, duplicates=pairs)
    with pytest.raises(TableError, match=message):
        create_folds(competition, n_folds=2, output=tmp_path / "f.csv", duplicates=pairs)


def test_pairs_of_other_images_are_counted(
    competition: Path, folds_csv: Path, tmp_path: Path
) -> None:
    pairs = tmp_path / "pairs.csv"
    pairs.write_text("image_name_1,image_name_2\nTRAIN_001 ,TRAIN_002\nx,y\n")
    judged = check_folds(competition, folds_csv, duplicates=pairs)
    assert judged.n_unknown_pairs == 1
    assert "pairs of duplicates that name other images: 1" in judged.as_text()
