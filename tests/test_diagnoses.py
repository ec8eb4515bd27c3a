import pandas as pd
import pytest

from melanoma.diagnoses import CLASS_OF_SPELLING, CLASSES, diagnosis_classes
from melanoma.errors import TableError


def table(*rows: tuple[str | None, int]) -> pd.DataFrame:
    names = [f"i{number}" for number in range(len(rows))]
    diagnoses, targets = zip(*rows)
    return pd.DataFrame({"image_name": names, "diagnosis": diagnoses, "target": targets})


def named(*rows: tuple[str | None, int]) -> list[str]:
    return [CLASSES[place] for place in diagnosis_classes(table(*rows), "t.csv")]


def test_the_spellings_of_three_years_meet() -> None:
    assert (
        named(("MEL", 1), ("melanoma", 1), ("NV", 0), ("nevus", 0))
        == ["melanoma"] * 2 + ["nevus"] * 2
    )
    keratoses = [
        "BKL",
        "seborrheic keratosis",
        "solar lentigo",
        "lichenoid keratosis",
        "lentigo NOS",
    ]
    assert named(*[(name, 0) for name in keratoses]) == ["benign keratosis"] * 5
    assert (
        named(("cafe-au-lait macule", 0), ("atypical melanocytic proliferation", 0))
        == ["unknown"] * 2
    )


def test_what_is_missing_is_unknown_unless_the_target_says_melanoma() -> None:
    assert named((None, 0), ("unknown", 0), (None, 1)) == ["unknown", "unknown", "melanoma"]


def test_every_spelling_belongs_to_a_class() -> None:
    assert set(CLASS_OF_SPELLING.values()) == set(CLASSES)
    assert all(spelling == spelling.lower() for spelling in CLASS_OF_SPELLING)


def test_unknown_spellings_are_listed_with_counts() -> None:
    with pytest.raises(TableError, match=r"diagnosis wart \(2\), corn \(1\) is not in the map"):
        named(("wart", 0), ("corn", 0), ("wart", 0))


def test_a_contradiction_is_named() -> None:
    with pytest.raises(
        TableError, match=r"i0 \(melanoma, target 0\), i1 \(nevus, target 1\) contra"
    ):
        named(("melanoma", 0), ("nevus", 1))


def test_a_missing_column_is_named() -> None:
    with pytest.raises(TableError, match=r"t.csv: no column diagnosis, .* --model.target binary"):
        diagnosis_classes(table(("nevus", 0)).drop(columns="diagnosis"), "t.csv")
