from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from melanoma.ensemble.checks import (
    check_submission,
    correct_shifts,
    measure_shift,
    warn_of_columns,
)
from melanoma.errors import TableError

Change = Callable[[pd.DataFrame], pd.DataFrame]


def test_alike_is_no_shift() -> None:
    random = np.random.default_rng(0)
    shift = measure_shift("a", random.random(3000), random.random((5, 1000)))
    assert shift.distance < 0.1
    assert not shift.is_large


def test_a_shift_is_named_with_its_numbers() -> None:
    random = np.random.default_rng(0)
    shift = measure_shift("run_a", random.random(3000), random.random((5, 1000)) ** 3)
    assert shift.is_large
    assert shift.distance == pytest.approx(0.385, abs=0.05)
    text = shift.as_text()
    assert "run_a predicts test images unlike training images" in text
    said = (
        f"by up to {100 * shift.distance:.0f} points, more than chance among patients (p < 0.001);"
    )
    assert said in text
    assert f"{100 * shift.oof_quantiles[2]:.3g}" in text
    assert "a mean over several networks" not in text


def test_what_may_be_averaged_already_is_said() -> None:
    random = np.random.default_rng(0)
    shift = measure_shift("a", random.random(3000), random.random((1, 1000)) ** 3)
    assert "a mean over several networks" in shift.as_text()


def test_few_images_make_no_shift() -> None:
    shift = measure_shift("a", np.linspace(0, 1, 40), np.linspace(0.3, 1, 10)[None, :])
    assert shift.distance >= 0.1
    assert not shift.is_large


def test_images_of_few_patients_make_no_shift() -> None:
    random = np.random.default_rng(0)
    patients, test_patients = np.repeat(range(40), 10), np.repeat(range(8), 25)
    oof = random.normal(size=40)[patients] + 0.3 * random.normal(size=400)
    test = (random.normal(size=8)[test_patients] + 0.3 * random.normal(size=200))[None, :]
    alone = measure_shift("a", oof, test)
    by_patients = measure_shift("a", oof, test, patients, test_patients)
    assert by_patients.distance == alone.distance >= 0.1
    assert alone.is_large
    assert not by_patients.is_large
    assert by_patients.p_value > 0.05 > alone.p_value
    # Few test patients are enough to doubt it.
    assert not measure_shift("a", oof, test, test_patients=test_patients).is_large


def test_shifts_are_corrected_for_the_number_of_runs() -> None:
    random = np.random.default_rng(0)
    oof, near = random.random(300), random.random((5, 100)) ** 1.4
    near_shift = measure_shift("a", oof, near)
    assert near_shift.is_large
    assert 0.005 < near_shift.p_value <= 0.01
    alike = measure_shift("b", oof, random.random((5, 100)))
    corrected, other = correct_shifts([near_shift, alike])
    assert corrected.p_value == pytest.approx(2 * near_shift.p_value)
    assert not corrected.is_large
    assert (other.p_value, other.n_runs) == (alike.p_value, 2)
    far = measure_shift("c", oof, near**3)
    assert "(p < 0.001 after correction for 2 runs)" in correct_shifts([far, alike])[0].as_text()


def test_a_small_distance_is_no_shift_however_sure_it_is() -> None:
    grid = np.linspace(0, 1, 10_000)
    shift = measure_shift("a", grid, (0.93 * grid)[None, :])
    assert shift.p_value < 1e-6
    assert not shift.is_large


def test_constant_and_identical_columns_are_named() -> None:
    a, b = np.array([0.1, 0.2]), np.array([0.5, 0.5])
    assert warn_of_columns({"a": a, "c": a + 0.1}, "out of fold") == []
    (constant,) = warn_of_columns({"a": a, "b": b}, "out of fold")
    assert constant.startswith("constant: b predicts the same for every image out of fold")
    (identical,) = warn_of_columns({"a": a, "b": a.copy()}, "on test images")
    assert identical.startswith("identical: b and a predict the same on test images")


def test_one_dead_network_of_several_is_noticed() -> None:
    networks = np.array([[0.1, 0.2], [0.3, 0.3]])
    assert "constant: a" in warn_of_columns({"a": networks}, "on test images")[0]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda t: t.iloc[1:], "a has no prediction"),
        (lambda t: t.replace("a", "x"), "a has no prediction"),
        (lambda t: pd.concat([t, t.iloc[:1].replace("a", "x")]), "x is not asked for"),
        (lambda t: t.iloc[::-1], "not in the order"),
        (lambda t: t.assign(target=2.0), "is not a number between 0 and 1"),
    ],
)
def test_a_submission_unlike_its_form_is_named(change: Change, message: str) -> None:
    form = pd.DataFrame({"image_name": ["a", "b"], "target": [0.0, 0.0]})
    check_submission(form, form, Path("s.csv"))
    with pytest.raises(TableError, match=message):
        check_submission(change(form), form, Path("s.csv"))
