"""Two spellings of one patient or image are one; what is written keeps the spelling of its table."""

import unicodedata
from pathlib import Path

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from melanoma.errors import TableError
from melanoma.folds.creation import create_folds
from melanoma.folds.files import read_external, read_folds
from melanoma.folds.review import check_folds
from melanoma.identifiers import normal_form
from melanoma.tables import patients_of, read_train

TEXT = st.text(st.characters(codec="utf-8", exclude_characters="\x00"), max_size=8)


def form(identifier: str) -> str:
    return str(normal_form(pd.Series([identifier], dtype="str")).item())


@pytest.mark.parametrize(
    ("one", "other"),
    [
        *(("P1", "P1 "), ("P1", "\tP1\u00a0"), ("a b", "a  b"), ("7", "7.0"), ("7", "7.000")),
        *(("0", "0.0"), ("-7", "-7.0"), ("é", "e\u0301"), (" 7.0 ", "7"), ("a\nb", "a b")),
    ],
)
def test_spellings_of_one_identifier_have_one_form(one: str, other: str) -> None:
    assert form(one) == form(other)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("007", "7"),
        ("007.0", "7"),
        ("7.5", "7"),
        ("p1", "P1"),
        ("7.0a", "7a"),
        ("1.0.0", "1"),
        ("①", "1"),
    ],
)
def test_other_identifiers_have_other_forms(one: str, other: str) -> None:
    assert form(one) != form(other)


@given(st.lists(st.none() | TEXT, max_size=8))
def test_a_form_is_its_own_and_depends_on_nothing_else(values: list[str | None]) -> None:
    identifiers = pd.Series(
        values, dtype="str", index=[3 * n for n in range(len(values))], name="x"
    )
    forms = normal_form(identifiers)
    assert forms.index.equals(identifiers.index)
    assert forms.name == "x"
    assert forms.isna().tolist() == identifiers.isna().tolist()
    assert normal_form(forms).fillna("").tolist() == forms.fillna("").tolist()
    assert forms.dropna().tolist() == [form(value) for value in identifiers.dropna()]


@given(st.lists(TEXT, min_size=1, max_size=8))
def test_white_space_around_and_composition_change_nothing(values: list[str]) -> None:
    identifiers = pd.Series(values, dtype="str")
    written = pd.Series([f" {unicodedata.normalize('NFD', v)}\u2003" for v in values], dtype="str")
    assert normal_form(written).tolist() == normal_form(identifiers).tolist()


def write(path: Path, patients: list[str], prefix: str = "i", **columns: list[str]) -> Path:
    rows = range(len(patients))
    table = pd.DataFrame(
        {
            "image_name": [f"{prefix}{row}" for row in rows],
            "patient_id": patients,
            "target": [row % 4 // 2 for row in rows],
            **columns,
        }
    )
    path.parent.mkdir(exist_ok=True)
    table.to_csv(path, index=False)
    return path


def test_a_patient_written_twice_is_in_one_fold(tmp_path: Path) -> None:
    patients = [f"P{row // 4}" + " " * (row % 2) for row in range(40)]
    write(tmp_path / "a" / "train.csv", patients)
    create_folds(tmp_path / "a", n_folds=2, output=tmp_path / "f.csv")
    folds = pd.read_csv(tmp_path / "f.csv")["fold"]
    assert folds.groupby([p.strip() for p in patients]).nunique().eq(1).all()
    assert check_folds(tmp_path / "a", tmp_path / "f.csv").split_patients == []
    split = pd.DataFrame(
        {"image_name": [f"i{n}" for n in range(40)], "fold": [n % 2 for n in range(40)]}
    )
    split.to_csv(tmp_path / "split.csv", index=False)
    assert len(check_folds(tmp_path / "a", tmp_path / "split.csv").split_patients) == 10


def test_a_patient_of_another_year_is_left_out_of_the_fold_that_validates_it(
    tmp_path: Path,
) -> None:
    data_dir = tmp_path / "a"
    write(data_dir / "train.csv", [str(row // 2) for row in range(40)])
    # As pandas writes numbers where one is missing.
    external = write(tmp_path / "b" / "train.csv", ["7.0", "", "99.0"], prefix="old")
    made = create_folds(data_dir, n_folds=2, output=tmp_path / "f.csv", external=external)
    assert "1 of them are left out" in made.as_text()
    read = read_external(tmp_path / "f.csv", data_dir, external)
    assert read is not None
    folds = read_folds(tmp_path / "f.csv", data_dir)
    validated = folds.loc[folds["patient_id"] == "7", "fold"].iloc[0]
    assert read["excluded"].tolist() == [validated, -1, -1]


def test_image_names_are_matched_by_form_and_written_as_they_were(tmp_path: Path) -> None:
    data_dir = tmp_path / "a"
    train = write(data_dir / "train.csv", [str(row // 2) for row in range(40)], prefix="")
    create_folds(data_dir, n_folds=2, output=tmp_path / "f.csv")
    folds = pd.read_csv(tmp_path / "f.csv")
    folds.assign(image_name=folds["image_name"].astype(float)).to_csv(
        tmp_path / "g.csv", index=False
    )
    assert read_folds(tmp_path / "g.csv", data_dir)["image_name"].tolist() == [
        str(n) for n in range(40)
    ]
    table = pd.read_csv(train)
    table.assign(image_name=table["image_name"].astype(float)).to_csv(
        tmp_path / "b.csv", index=False
    )
    with pytest.raises(TableError, match=r"b.csv: 0.0, 1.0, .* also in .*train.csv"):
        create_folds(data_dir, n_folds=2, output=tmp_path / "h.csv", external=tmp_path / "b.csv")


def test_two_names_of_one_form_are_named(tmp_path: Path) -> None:
    (tmp_path / "train.csv").write_text("image_name,target\na,1\nb,0\na ,0\n7,1\n7.0,0\n")
    with pytest.raises(TableError, match=r"'7' and '7.0', 'a' and 'a ' are one name but for"):
        read_train(tmp_path)


def test_a_blank_patient_is_none() -> None:
    table = pd.DataFrame({"image_name": ["a", "b "], "patient_id": ["  ", None]}, dtype="str")
    assert patients_of(table).tolist() == ["image:a", "image:b"]
