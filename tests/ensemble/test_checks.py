from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import ks_2samp

from melanoma.ensemble.checks import check_submission, ks_distance, measure_shift, warn_of_columns
from melanoma.errors import TableError

Change = Callable[[pd.DataFrame], pd.DataFrame]


@given(seed=st.integers(0, 1000), tied=st.booleans())
def test_the_distance_is_that_of_kolmogorov_and_smirnov(seed: int, tied: bool) -> None:
    random = np.random.default_rng(seed)
    a, b = random.random(30), random.random(20) ** 2
    if tied:
        a, b = a.round(1), b.round(1)
    assert ks_distance(a, b) == pytest.approx(ks_2samp(a, b).statistic)


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
    assert f"by up to {100 * shift.distance:.0f} points" in text
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
