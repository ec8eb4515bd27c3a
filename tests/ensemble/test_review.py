from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from melanoma.ensemble.review import correlate_with, review_runs
from melanoma.errors import TableError
from simulated_runs import simulate_runs


def test_runs_that_are_in_order_give_no_warning() -> None:
    review = review_runs(simulate_runs([0.0, 0.0], n_test=300))
    assert review.warnings == []
    assert [shift.run for shift in review.shifts] == ["run_0", "run_1"]
    assert review.picture is None
    assert review.lines() == []


def test_without_a_test_set_there_is_nothing_to_shift() -> None:
    runs = replace(simulate_runs([0.0]), test=(), test_names=None)
    assert review_runs(runs).shifts == []


def test_a_shift_is_a_warning_with_a_picture() -> None:
    runs = simulate_runs([0.0, 0.0], n_test=300)
    review = review_runs(replace(runs, test=(runs.test[0], runs.test[1] ** 0.2)))
    (warning,) = review.warnings
    assert warning.startswith("shift: run_1")
    assert review.picture is not None
    assert review.picture.startswith(b"\x89PNG")
    assert review.lines()[0].startswith("warning: shift: run_1")


def test_test_images_of_few_patients_are_no_shift() -> None:
    runs = simulate_runs([0.0], n_test=300)
    shifted = replace(runs, test=(np.sort(runs.test[0] ** 0.6),))
    assert review_runs(shifted).warnings
    review = review_runs(shifted, np.repeat(np.arange(6), 50))  # whose images resemble each other
    assert review.warnings == []
    assert review.as_dict()["shifts"][0]["p_value"] == review.shifts[0].p_value > 0.01


def test_copies_are_warned_of_on_both_sides() -> None:
    runs = simulate_runs([0.0], n_test=300)
    twice = replace(
        runs, names=["a", "b"], oof=np.tile(runs.oof, (2, 1)), test=runs.test + runs.test
    )
    kinds = [warning.partition(":")[0] for warning in review_runs(twice).warnings]
    assert kinds == ["identical", "identical"]


def test_a_patient_in_two_folds_is_a_leak() -> None:
    runs = simulate_runs([0.0], n_test=300)
    leaking = replace(runs, table=runs.table.assign(patient_id="P"))
    assert review_runs(leaking).warnings[0].startswith("leak: 1 patients are in two folds")


def test_a_test_image_that_was_trained_on_is_an_overlap() -> None:
    runs = simulate_runs([0.0], n_test=300)
    assert runs.test_names is not None
    overlapping = replace(runs, test_names=runs.test_names.replace("TEST_00003", "TRAIN_00001"))
    (warning,) = review_runs(overlapping).warnings
    assert warning.startswith("overlap: TRAIN_00001 both among the test images and in train.csv")


def test_the_correlation_with_an_earlier_submission(tmp_path: Path) -> None:
    names, path = pd.Series(["a", "b", "c"]), tmp_path / "earlier.csv"
    pd.DataFrame({"image_name": ["c", "b", "a"], "target": [0.9, 0.2, 0.1]}).to_csv(
        path, index=False
    )
    assert correlate_with(path, names, np.array([0.3, 0.4, 0.5])) == pytest.approx(1)
    assert correlate_with(path, names, np.array([0.5, 0.4, 0.3])) == pytest.approx(-1)
    with pytest.raises(TableError, match=r"earlier.csv: no prediction for x"):
        correlate_with(path, pd.Series(["a", "b", "x"]), np.zeros(3))
