from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from melanoma.ensemble.elsewhere import (
    find_test_patients,
    read_oof_table,
    read_submissions,
    read_test_patients,
)
from melanoma.errors import ConfigError, TableError

Change = Callable[[pd.DataFrame], pd.DataFrame]

OOF = pd.DataFrame(
    {
        "image_name": ["a", "b", "c", "d"],
        "patient_id": ["P", "P", "Q", "R"],
        "fold": [0, 0, 1, 1],
        "target": [0, 1, 0, 1],
        "prediction": [0.1, 0.2, 0.3, 0.4],
    }
)
SUBMISSION = pd.DataFrame({"image_name": ["x", "y"], "target": [0.25, 0.75]})


def write(folder: Path, table: pd.DataFrame, name: str = "table.csv") -> Path:
    table.to_csv(folder / name, index=False)
    return folder / name


def test_an_out_of_fold_table_is_read(tmp_path: Path) -> None:
    path = write(tmp_path, OOF)
    source = read_oof_table(path)
    pd.testing.assert_frame_equal(source.oof, OOF, check_dtype=False)
    assert (source.path, source.files, source.test) == (path, (path,), None)


def test_patients_need_not_be_known(tmp_path: Path) -> None:
    source = read_oof_table(write(tmp_path, OOF.drop(columns="patient_id")))
    assert source.oof["patient_id"].nunique() == 4


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda t: t.drop(columns="target"), "table.csv: no column target; it has image_name"),
        (lambda t: t.drop(columns="fold"), "table.csv: no column fold"),
        (lambda t: t.assign(target=[0, 1, 2, 1]), r"target of c \(2\) is neither 0 nor 1"),
        (
            lambda t: t.assign(prediction=[0, 1, 2, 1]),
            r"prediction of c \(2\) is not a number .*Give",
        ),
        (lambda t: t.assign(prediction=[0, 1, np.nan, 1]), r"prediction of c \(nan\) is not"),
        (lambda t: t.assign(prediction=[0, 1, np.inf, 1]), r"prediction of c \(inf\) is not"),
        (lambda t: t.assign(fold=[0, 0, -1, 1]), r"fold of c \(-1\) is not a number from 0. Leave"),
        (lambda t: t.assign(fold=[0, 0, 0.5, 1]), r"fold of c \(0.5\) is not a number from 0"),
        (lambda t: t.assign(image_name="a"), "image_name a occurs more than once"),
        (lambda t: t.assign(target=[0, 1, 0, 0], fold=0), "a single image of one target, so"),
        (lambda t: t.assign(target=[0, 1, 0, 0]), "table.csv: fold 1 holds one class only, so"),
    ],
)
def test_a_broken_out_of_fold_table_is_named(tmp_path: Path, change: Change, message: str) -> None:
    with pytest.raises(TableError, match=message):
        read_oof_table(write(tmp_path, change(OOF)))


def test_submissions_are_aligned_with_the_first_or_the_form(tmp_path: Path) -> None:
    paths = [write(tmp_path, SUBMISSION, "1.csv"), write(tmp_path, SUBMISSION[::-1], "2.csv")]
    names, values = read_submissions(paths)
    assert names.tolist() == ["x", "y"]
    assert values.tolist() == [[0.25, 0.75], [0.25, 0.75]]
    names, values = read_submissions(paths, SUBMISSION[::-1])
    assert names.tolist() == ["y", "x"]
    assert values.tolist() == [[0.75, 0.25], [0.75, 0.25]]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            lambda t: t.rename(columns={"target": "t"}),
            "2.csv: no column target; it has image_name, t",
        ),
        (lambda t: t.iloc[1:], "2.csv: no prediction for x of .*1.csv. Submissions of the same"),
        (lambda t: pd.concat([t, t.iloc[:1].assign(image_name="z")]), "2.csv: z not in .*1.csv"),
        (lambda t: pd.concat([t, t.iloc[:1]]), "2.csv: image_name x occurs more than once"),
        (lambda t: t.assign(target=[0, 3.0]), r"2.csv: target of y \(3.0\) is not a number"),
        (lambda t: t.assign(prediction=0.5), "2.csv: has a column prediction beside target"),
    ],
)
def test_a_broken_submission_is_named(tmp_path: Path, change: Change, message: str) -> None:
    first = write(tmp_path, SUBMISSION, "1.csv")
    with pytest.raises(TableError, match=message):
        read_submissions([first, write(tmp_path, change(SUBMISSION), "2.csv")])


def test_submissions_of_another_form_are_named(tmp_path: Path) -> None:
    form = pd.DataFrame({"image_name": ["x", "y", "z"], "target": 0})
    with pytest.raises(TableError, match=r"1.csv: no prediction for z of sample_submission.csv"):
        read_submissions([write(tmp_path, SUBMISSION, "1.csv")], form)


def test_whom_test_images_are_of(tmp_path: Path) -> None:
    test = pd.DataFrame({"image_name": ["x", "y", "z"], "patient_id": ["B", "A", "B"]})
    write(tmp_path, test, "test.csv")
    patients = read_test_patients(pd.Series(["z", "y", "x"]), tmp_path)
    assert patients.tolist() == [1, 0, 1]
    with pytest.raises(TableError, match=r"test.csv: no prediction for w of the test predictions"):
        read_test_patients(pd.Series(["w", "x", "y", "z"]), tmp_path)


def test_without_a_test_table_the_context_is_refused(tmp_path: Path) -> None:
    for folder in (None, tmp_path):
        with pytest.raises(ConfigError, match=r"--context needs to know .* as --data-dir"):
            read_test_patients(pd.Series(["x"]), folder)


def test_what_can_do_without_the_patients_of_test_images_has_none_where_nobody_says(
    tmp_path: Path,
) -> None:
    names = pd.Series(["y", "x"])
    assert find_test_patients(None, tmp_path) is None
    assert find_test_patients(names, None) is None
    assert find_test_patients(names, tmp_path) is None
    write(tmp_path, pd.DataFrame({"image_name": ["x", "z"]}), "test.csv")
    assert find_test_patients(names, tmp_path) is None
    write(tmp_path, pd.DataFrame({"image_name": ["x", "y"], "patient_id": "A"}), "test.csv")
    known = find_test_patients(names, tmp_path)
    assert known is not None
    assert known.tolist() == [0, 0]
