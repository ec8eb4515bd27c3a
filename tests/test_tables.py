from pathlib import Path

import pandas as pd
import pytest

from melanoma.errors import TableError
from melanoma.tables import patients_of, read_predictions, read_test, read_train


def test_a_training_table_keeps_rows_order_and_all_columns(competition: Path) -> None:
    train = read_train(competition)
    assert list(train["image_name"]) == [f"TRAIN_{row:03d}" for row in range(40)]
    assert set(train["target"]) == {0, 1}
    assert "diagnosis" in train


def test_a_comma_at_the_end_of_rows_shifts_no_column(tmp_path: Path) -> None:
    (tmp_path / "train.csv").write_text("image_name,target,benign\na,1,0,\nb,0,1,\n")
    train = read_train(tmp_path)
    assert train.to_dict("list") == {"image_name": ["a", "b"], "target": [1, 0], "benign": [0, 1]}


def test_only_two_columns_are_required(tmp_path: Path) -> None:
    (tmp_path / "train.csv").write_text("image_name,target\n007,1\n08,0.0\n")
    train = read_train(tmp_path)
    assert list(train["image_name"]) == ["007", "08"]
    assert list(train["target"]) == [1, 0]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (None, r"train.csv: no such file. That folder has no CSV file"),
        ("", r"train.csv: the file is empty"),
        ("image_name,target\n", r"train.csv: the table has a header but no rows"),
        (
            "image,target\na,1\n",
            r"no column image_name; it has image, target\. Did you mean image\?",
        ),
        (
            "image_name,target\na,2\nb,x\nc,\nd,0\n",
            r"target of a \(2\), b \(x\), c \(nan\) is neither 0",
        ),
        ("image_name,target\na,1\nb,0\na,0\n", r"image_name a occurs more than once"),
        ("image_name,target\n../a,1\nb,0\n", r"image_name ../a is not a plain file name"),
        ("image_name,target\n/etc/a,1\nb,0\n", r"image_name /etc/a is not a plain file name"),
        ("image_name,target\n..\\a,1\nb,0\n", r"image_name \.\.\\a is not a plain file name"),
        ("image_name,target\nC:a,1\nb,0\n", r"image_name C:a is not a plain file name"),
        ("image_name,target\n\x1b[2Ja,1\nb,0\n", r"image_name '\\x1b\[2Ja' is not a plain file"),
        ('image_name,target\n"a\nb",1\nb,0\n', r"image_name 'a\\nb' is not a plain file name"),
        ("image_name,target\n.,1\nb,0\n", r"image_name \. is not a plain file name"),
        ("image_name,target\n..,1\nb,0\n", r"is not a plain file name"),
        ("image_name,target\n,1\nb,0\n", r"no image_name in line 2\."),
        ('image_name,target\n"a,1\nb,0\n', r"train.csv: not a readable CSV file"),
        (
            "image_name,target\na,1,x\nb,0,y\n",
            r"train.csv: its rows have more fields than its header",
        ),
        (
            "image_name,target\na,1,,\nb,0,,\n",
            r"train.csv: its rows have more fields than its header",
        ),
    ],
)
def test_a_broken_training_table_is_named(
    tmp_path: Path, content: str | None, message: str
) -> None:
    if content is not None:
        (tmp_path / "train.csv").write_text(content)
    with pytest.raises(TableError, match=message):
        read_train(tmp_path)


def test_bytes_that_are_no_text_are_named(tmp_path: Path) -> None:
    (tmp_path / "train.csv").write_bytes(b"image_name,target\n\xff\xfe,1\n")
    with pytest.raises(TableError, match="not a readable CSV file"):
        read_train(tmp_path)


def test_a_folder_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(TableError, match=r"nowhere: no such folder. Give the competition folder"):
        read_train(tmp_path / "nowhere")


def test_a_competition_without_a_test_set_is_none(tmp_path: Path) -> None:
    assert read_test(tmp_path) is None


def test_targets_of_test_images_are_numbers_or_missing(tmp_path: Path) -> None:
    (tmp_path / "test.csv").write_text("image_name,target\na,1\nb,\nc,0.0\n")
    test = read_test(tmp_path)
    assert test is not None
    assert test["target"].fillna(-1).tolist() == [1.0, -1.0, 0.0]
    (tmp_path / "test.csv").write_text("image_name,target\na,1\nb,unknown\nc,2\n")
    with pytest.raises(TableError, match=r"test.csv: target of b \(unknown\), c \(2\) is neither"):
        read_test(tmp_path)


@pytest.mark.parametrize("value", ["1.01", "-0.1", "inf", "nan", "", "high"])
def test_a_prediction_that_is_no_probability_is_named(tmp_path: Path, value: str) -> None:
    path = tmp_path / "test.csv"
    path.write_text(f"image_name,prediction\na,0.5\nb,{value}\n")
    with pytest.raises(TableError, match=r"prediction of b \(.*\) is not a number between 0 and 1"):
        read_predictions(path)


@pytest.mark.parametrize("value", ["unknown", " Unknown ", "N/A", "-", "?", "missing", "", "-1"])
def test_a_placeholder_is_no_patient(value: str) -> None:
    table = pd.DataFrame({"image_name": ["a", "b", "c"], "patient_id": [value, value, "p"]})
    assert patients_of(table).tolist() == ["image:a", "image:b", "p"]


def test_an_image_without_a_patient_is_its_own_patient() -> None:
    table = pd.DataFrame({"image_name": ["p", "b"], "patient_id": [None, "p"]})
    assert patients_of(table).nunique() == 2
    assert patients_of(table.drop(columns="patient_id")).tolist() == ["p", "b"]
