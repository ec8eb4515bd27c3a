"""Melanomas of each sex, site, age, diagnosis and patient size: as many in one fold as in another."""

from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from melanoma.errors import ConfigError
from melanoma.folds.assignment import FoldArray, assign_folds
from melanoma.folds.balance import Balance, judge_folds
from melanoma.folds.groups import join_groups
from melanoma.tables import AGE, DIAGNOSIS, IMAGE_NAME, PATIENT_ID, SEX, SITE, TARGET, read_train

SIIM = Path(__file__).resolve().parents[3] / "shared" / "data" / "siim2020"
needs_siim = pytest.mark.skipif(not SIIM.exists(), reason=f"the real table is not in {SIIM}")

PATIENTS = [f"P{number:02d}" for number in range(20)]
VALUES = {
    SEX: st.sampled_from(["male", "female", None]),
    AGE: st.sampled_from([5.0, 35.0, 40.0, 75.0, None]),
    SITE: st.sampled_from(["torso", "head/neck", "palms/soles", None]),
    DIAGNOSIS: st.sampled_from(["nevus", "melanoma", "unknown"]),
    "device": st.sampled_from(["a", "b", "c"]),
}
# A row per image. Values may differ between the images of a patient, and may be all the same.
tables = st.lists(
    st.fixed_dictionaries(
        {PATIENT_ID: st.sampled_from(PATIENTS), TARGET: st.integers(0, 1)} | VALUES,
    ),
    min_size=6,
    max_size=40,
).map(
    lambda rows: pd.DataFrame(rows).assign(**{IMAGE_NAME: [f"I{n:02d}" for n in range(len(rows))]})
)


def assign_or_discard(table: pd.DataFrame, n_folds: int, seed: int) -> FoldArray:
    try:
        return assign_folds(table, n_folds, seed, balance_on=["device"])
    except ConfigError:
        assume(False)
        raise


@settings(max_examples=40)
@given(tables, st.integers(2, 5), st.integers(0, 3))
def test_no_older_guarantee_is_given_up(table: pd.DataFrame, n_folds: int, seed: int) -> None:
    folds = assign_or_discard(table, n_folds, seed)
    of_patients = pd.Series(folds).groupby(table[PATIENT_ID])
    assert of_patients.nunique().max() == 1
    for target in (0, 1):
        assert set(folds[table[TARGET] == target]) == set(range(n_folds))
    images = table[PATIENT_ID].value_counts()
    if 2 * images.max() <= len(table):  # such a patient may have a fold alone
        assert np.ptp(np.bincount(of_patients.first(), minlength=n_folds)) <= 1


@settings(max_examples=25)
@given(tables, st.integers(2, 4), st.randoms(use_true_random=False))
def test_neither_rows_nor_names_of_patients_matter(
    table: pd.DataFrame, n_folds: int, random: Any
) -> None:
    folds = assign_or_discard(table, n_folds, 0)
    names = list(PATIENTS)
    random.shuffle(names)
    order = list(range(len(table)))
    random.shuffle(order)
    renamed = table.assign(**{PATIENT_ID: table[PATIENT_ID].map(dict(zip(PATIENTS, names)))})
    moved = assign_folds(renamed.iloc[order], n_folds, 0, balance_on=["device"])
    assert moved.tolist() == folds[order].tolist()


@pytest.mark.parametrize("seed", range(3))
def test_single_images_are_even_in_every_value(seed: int) -> None:
    random = np.random.default_rng(seed)
    n_images = 2000
    device = random.choice(["a", "b"], n_images, p=[0.8, 0.2])
    table = pd.DataFrame(
        {
            IMAGE_NAME: [f"I{row:04d}" for row in range(n_images)],
            TARGET: (random.random(n_images) < np.where(device == "b", 0.3, 0.05)).astype(int),
            SEX: random.choice(["male", "female"], n_images),
            "device": device,
        }
    )
    folds = assign_folds(table, 5, seed, balance_on=["device"])
    balance = judge_folds(table, folds, join_groups(table), ["device"])
    spreads = {name: balance.melanoma_spread(name) for name in balance.melanomas}
    assert spreads == balance.melanoma_floors


@pytest.fixture(scope="module")
def judged_siim() -> Callable[[int], Balance]:
    train = read_train(SIIM)
    # Bands of twenty years: two of those that are balanced.
    train["twenty_years"] = (train[AGE] // 20).astype("str")
    groups = join_groups(train)

    @cache
    def judge(seed: int) -> Balance:
        folds = assign_folds(train, 5, seed, groups=groups)
        return judge_folds(train, folds, groups, ["twenty_years"])

    return judge


@needs_siim
@pytest.mark.parametrize("seed", range(1, 6))
def test_siim_folds_have_the_same_melanomas(
    judged_siim: Callable[[int], Balance], seed: int
) -> None:
    balance = judged_siim(seed)
    most = {SEX: 3, SITE: 4, "twenty_years": 6, AGE: 4, DIAGNOSIS: 1, "patient size": 8}
    assert {name for name in most if balance.melanoma_spread(name) > most[name]} == set()


@needs_siim
@pytest.mark.parametrize("seed", range(1, 6))
def test_siim_folds_are_as_even_as_before_in_all_else(
    judged_siim: Callable[[int], Balance], seed: int
) -> None:
    balance = judged_siim(seed)
    counts = balance.per_fold[["images", "melanomas", "patients"]]
    assert ((counts.max() - counts.min()) <= 1).all()
    assert balance.split_patients == []
    assert balance.strata_deviation == pytest.approx(1.75, abs=0.01)  # one patient
    # Of sex and age, one patient alone makes 0.72.
    most_points = {SEX: 0.725, SITE: 0.155, AGE: 0.725, DIAGNOSIS: 0.035}
    assert {name for name in most_points if balance.share_spread(name) > most_points[name]} == set()
