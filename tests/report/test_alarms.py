"""How often reports on what does not differ raise an alarm: at most 5 of 100 may."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from melanoma.ensemble.methods import logit
from melanoma.ensemble.predictions import Predictions
from melanoma.ensemble.review import review_runs
from melanoma.metrics import auc, compare_parts, holm
from melanoma.report.alarms import (
    FEWEST,
    FOLD_LEVEL,
    GROUP_LEVEL,
    compare_folds,
    compare_groups,
)
from simulated_runs import simulate_runs


def report_on_nothing(seed: int) -> tuple[Predictions, pd.DataFrame]:
    """A run whose network uses the age, in folds that are calibrated differently; and its factors.

    Old patients have more melanomas. Within an age, a site, a sex or a fold, all are ranked alike.
    """
    runs = simulate_runs([1.5], seed, n_patients=150, n_test=60, fold_offset=0.3)
    random = np.random.default_rng(seed)
    patients = runs.patients
    burden = np.bincount(patients, weights=runs.targets) + 0.5 * random.normal(size=150)
    age = pd.qcut(burden[patients], 4, labels=False)
    factors = pd.DataFrame(
        {
            "age": age.astype(str),
            "sex": random.choice(["f", "m"], 150)[patients],
            "site": random.choice(["torso", "leg", "arm"], len(patients), p=[0.6, 0.3, 0.1]),
        }
    )
    with_age = 1 / (1 + np.exp(-logit(runs.oof) - 0.7 * (age - 1.5)))
    ages = random.choice(4, 60) - 1.5
    test = 1 / (1 + np.exp(-logit(runs.test[0]) - 0.7 * ages))
    return replace(runs, oof=with_age, test=(test,)), factors


def alarms_of(seed: int) -> list[bool]:
    """Whether folds, groups and shifts raise an alarm."""
    runs, factors = report_on_nothing(seed)
    arrays = runs.targets, runs.oof[0], runs.patients
    folds = compare_folds(*arrays[:2], runs.folds, runs.patients)
    groups = compare_groups(factors, *arrays)
    return [
        any(test.p_value <= FOLD_LEVEL for test in folds),
        any(test.p_value <= GROUP_LEVEL for test in groups.values()),
        any(shift.is_large for shift in review_runs(runs).shifts),
    ]


def test_reports_on_nothing_raise_few_alarms() -> None:
    """Of 60 reports 3 may on average; more than 8 would be less than one case in a hundred."""
    assert np.any([alarms_of(seed) for seed in range(60)], axis=1).sum() <= 8


@pytest.mark.long
def test_one_report_in_twenty_on_nothing_raises_an_alarm() -> None:
    """Of 1,000 reports 50 may on average, with a standard error of 7."""
    alarms = np.array([alarms_of(seed) for seed in range(1000)])
    assert alarms.any(axis=1).mean() <= 0.05
    assert alarms[:, 0].mean() <= FOLD_LEVEL + 0.01
    assert alarms[:, 1].mean() <= GROUP_LEVEL + 0.01


def test_the_age_tells_no_images_of_one_age_apart() -> None:
    """So every age is below the whole, which is no alarm."""
    runs, factors = report_on_nothing(0)
    groups = compare_groups(factors, runs.targets, runs.oof[0], runs.patients)
    ages = [test for (factor, _), test in groups.items() if factor == "age"]
    assert len(ages) > 2
    assert max(test.auc for test in ages) < auc(runs.targets, runs.oof[0])
    assert min(test.p_value for test in ages) > GROUP_LEVEL


def test_a_weak_group_is_found_and_no_other() -> None:
    runs, factors = report_on_nothing(0)
    random = np.random.default_rng(0)
    is_leg = (factors["site"] == "leg").to_numpy()
    scores = np.where(is_leg, random.random(is_leg.size), runs.oof[0])
    groups = compare_groups(factors, runs.targets, scores, runs.patients)
    found = [key for key, test in groups.items() if test.p_value <= GROUP_LEVEL]
    assert found == [("site", "leg")]


@pytest.mark.parametrize("seed", range(3))
def test_groups_are_corrected_over_all_factors_and_small_ones_are_left_out(seed: int) -> None:
    runs, factors = report_on_nothing(seed)
    groups = compare_groups(factors, runs.targets, runs.oof[0], runs.patients)
    raw = {
        (factor, test.part): test.p_value
        for factor in factors
        for test in compare_parts(
            runs.targets, runs.oof[0], factors[factor].to_numpy(), runs.patients, FEWEST
        )
    }
    assert list(groups) == list(raw)
    assert [test.p_value for test in groups.values()] == holm(list(raw.values())).tolist()
    for factor, value in groups:
        assert runs.targets[factors[factor] == value].sum() >= FEWEST
