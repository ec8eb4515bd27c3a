import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from melanoma.metrics import auc
from melanoma.report.alarms import FEWEST
from melanoma.report.groups import (
    IMAGE_SIZE,
    PATIENT_SIZE,
    Group,
    factors_to_show,
    score_groups,
)


@given(st.integers(0, 50), st.sampled_from([1, 2, 30]))
def test_every_group_is_scored_as_it_is_or_says_why_not(seed: int, n_values: int) -> None:
    random = np.random.default_rng(seed)
    n = int(random.integers(1, 120))
    values, targets = random.integers(0, n_values, n).astype(str), random.integers(0, 2, n)
    scores, patients = random.random(n), random.integers(0, 20, n)
    groups = score_groups(pd.DataFrame({"sex": values}), targets, scores, patients)
    assert sum(group.n for group in groups) == n
    scored = [group for group in groups if group.auc is not None]
    for group in groups:
        inside = values == group.value
        assert (group.others is None) == (group.p_value is None)
        if group.auc is None or len(scored) < 2:
            assert group.p_value is None
        if group.auc is None:
            assert min(targets[inside].sum(), (1 - targets[inside]).sum()) < FEWEST
            assert group.why_not.startswith(("too small: ", "one class only"))
        else:
            assert group.auc == auc(targets[inside], scores[inside])
            assert group.low is not None
            assert group.high is not None
            assert group.low <= group.auc <= group.high


@pytest.mark.parametrize(
    ("melanomas", "why"),
    [
        (0, "one class only: no AUC"),
        (20, "one class only: no AUC"),
        (1, "too small: 1 melanoma"),
        (17, "too small: 3 others"),
    ],
)
def test_a_group_that_is_too_small_says_so(melanomas: int, why: str) -> None:
    assert Group("sex", "male", 20, melanomas, 3).why_not == why


def test_factors_are_what_is_known_of_the_images() -> None:
    rows = pd.DataFrame(
        {
            "image_name": [f"I{n}" for n in range(13)],
            "patient_id": ["a"] * 10 + ["b"] * 2 + [None],
            "target": 0,
            "age_approx": [45.0] * 12 + [None],
        }
    )
    sizes = pd.Series([f"{n} x 1" for n in range(13)])
    factors = factors_to_show(rows, sizes)
    assert list(factors.columns) == ["age", IMAGE_SIZE, PATIENT_SIZE]
    assert set(factors["age"]) == {"40-49", "missing"}
    assert factors[PATIENT_SIZE].tolist() == ["10-19"] * 10 + ["2-4"] * 2 + ["1"]
    assert (factors[IMAGE_SIZE] == "4 others").sum() == 4
    assert list(factors_to_show(rows[["image_name", "target"]], None).columns) == []


def test_groups_are_in_the_order_of_their_numbers() -> None:
    factors = pd.DataFrame({PATIENT_SIZE: ["50+", "missing", "5-9", "10-19", "1"]})
    zeros = np.zeros(5, dtype=np.int64)
    groups = score_groups(factors, zeros, zeros.astype(float), zeros)
    assert [group.value for group in groups] == ["1", "5-9", "10-19", "50+", "missing"]
