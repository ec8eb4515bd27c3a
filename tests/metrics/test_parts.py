import math
from statistics import NormalDist

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from melanoma.metrics import auc, compare_parts, delong_variance
from melanoma.metrics.checks import Codes, Flags, Floats

seeds = st.integers(0, 1000)
Table = tuple[Flags, Floats, Codes, Codes]


def table(seed: int, n_rows: int = 120, n_parts: int = 3, n_patients: int = 40) -> Table:
    """Targets, predictions with ties, parts that share patients, and patients."""
    random = np.random.default_rng(seed)
    patients = random.integers(0, n_patients, n_rows)
    targets = random.random(n_rows) < 0.3
    scores = (
        targets + random.normal(size=n_patients)[patients] + random.normal(size=n_rows)
    ).round(1)
    return targets, scores, random.integers(0, n_parts, n_rows), patients


def p_values(*arrays: object) -> list[float]:
    return [test.p_value for test in compare_parts(*arrays)]  # type: ignore[arg-type]


@given(seeds)
def test_a_part_is_compared_with_the_mean_of_the_others_own_aucs(seed: int) -> None:
    targets, scores, parts, patients = table(seed)
    tests = compare_parts(targets, scores, parts, patients)
    assert [test.part for test in tests] == [0, 1, 2]
    own = [auc(targets[parts == part], scores[parts == part]) for part in range(3)]
    assert [test.auc for test in tests] == pytest.approx(own)
    for test in tests:
        rest = [area for part, area in enumerate(own) if part != test.part]
        assert min(rest) - 1e-9 <= test.others <= max(rest) + 1e-9
        assert 0 <= test.p_value <= 1


@given(seeds, st.permutations(range(120)))
def test_neither_order_nor_names_nor_the_parts_calibration_change_a_p_value(
    seed: int, order: list[int]
) -> None:
    targets, scores, parts, patients = table(seed)
    expected = p_values(targets, scores, parts, patients)
    calibrated = np.exp(scores / (1 + parts)) + 10 * parts
    names = np.array(["a", "b", "c"])[parts]
    owners = np.array([f"P{(7 * patient) % 41}" for patient in patients])
    found = p_values(targets[order], calibrated[order], names[order], owners[order])
    assert found == pytest.approx(expected, abs=1e-9)


@given(seeds)
def test_independent_halves_have_delongs_variances(seed: int) -> None:
    random = np.random.default_rng(seed)
    parts = np.repeat([0, 1], 2000)
    targets = random.random(4000) < 0.3
    scores = targets * (1 + 0.2 * parts) + random.normal(size=4000)
    test, _ = compare_parts(targets, scores, parts, np.arange(4000))
    halves = [(targets[parts == part], scores[parts == part]) for part in (0, 1)]
    one, two = (auc(*half) for half in halves)
    own, others = (delong_variance(*half) for half in halves)
    n = int(halves[1][0].sum())  # one more, of placement 1/2
    others += ((two - 0.5) / (n + 1)) ** 2
    two = (n * two + 0.5) / (n + 1)
    z = NormalDist().inv_cdf(test.p_value)
    difference = math.log(one / (1 - one)) - math.log(two / (1 - two))
    error = math.sqrt(own / (one * (1 - one)) ** 2 + others / (two * (1 - two)) ** 2)
    assert z == pytest.approx(difference / error, rel=0.01)  # Student's t of some thousand patients


def test_parts_of_the_same_patients_differ_less_by_chance() -> None:
    targets = np.tile((np.arange(40) < 12), 2)
    patients, parts = np.tile(np.arange(40), 2), np.repeat([0, 1], 40)
    scores = np.random.default_rng(0).normal(size=40)
    twice = np.r_[scores + np.arange(40) / 100, scores + targets[:40] / 2]
    alike, _ = p_values(targets, twice, parts, patients)
    apart, _ = p_values(targets, twice, parts, np.arange(80))
    assert alike < apart < 0.5


def test_perfect_others_are_not_certain() -> None:
    targets = np.tile([0, 0, 0, 0, 1, 1], 12)
    parts, patients = np.repeat([0, 1], 36), np.arange(72)
    perfect = targets.astype(float)
    assert p_values(targets, perfect, parts, patients) == [
        pytest.approx(1),
        pytest.approx(1),
    ]
    one_wrong = np.where(patients == 4, -1.0, perfect)
    first, second = compare_parts(targets, one_wrong, parts, patients)
    assert (first.others, second.auc, second.p_value) == (1, 1, 1)
    assert 0.1 < first.p_value < 0.5
    half = np.where(parts == 0, 0.0, perfect)
    assert p_values(targets, half, parts, patients)[0] < 0.01


@pytest.mark.parametrize("area", [0.0, 0.5])
def test_parts_that_are_all_as_bad_are_no_weaker(area: float) -> None:
    targets = np.tile([0, 0, 1, 1], 10)
    scores = -targets if area == 0 else np.zeros(40)
    found = p_values(targets, scores, np.repeat([0, 1], 20), np.arange(40))
    assert min(found) == 1


def test_small_parts_are_left_out() -> None:
    targets, scores, parts, patients = table(0)
    few = np.where(np.cumsum(targets & (parts == 2)) > 4, parts % 2, parts)
    assert [test.part for test in compare_parts(targets, scores, few, patients, fewest=5)] == [0, 1]
    # A class in one patient has no variance over patients.
    owners = np.where(targets & (parts == 2), 99, patients)
    assert [test.part for test in compare_parts(targets, scores, parts, owners)] == [0, 1]
    assert compare_parts(targets, scores, np.zeros(120), patients) == []
    assert compare_parts(np.zeros(120), scores, parts, patients) == []


def test_a_missing_part_is_refused() -> None:
    with pytest.raises(ValueError, match="1 of 4 parts are missing"):
        compare_parts([0, 1, 0, 1], [1, 2, 3, 4], np.array(["a", None, "b", "b"]), [1, 2, 3, 4])


def rate_of_alarms(n_samples: int, shift: float = 0.0) -> float:
    """How often the smallest p-value of five parts is at most 5 % of the number of parts."""
    alarms = []
    for seed in range(n_samples):
        random = np.random.default_rng(seed)
        patients = np.repeat(np.arange(150), random.geometric(1 / 4, 150))
        parts = np.where(
            random.random(patients.size) < 0.6, random.integers(0, 5, patients.size), 4
        )
        targets = random.random(patients.size) < 0.2
        noise = random.normal(size=150)[patients] + 1.3 * random.normal(size=patients.size)
        scores = 2.2 * targets * (1 - shift * (parts == 4)) + noise
        tests = compare_parts(targets, scores, parts, patients, fewest=5)
        alarms.append(min(test.p_value for test in tests) <= 0.05 / len(tests))
    return float(np.mean(alarms))


def test_equal_parts_raise_an_alarm_as_rarely_as_promised() -> None:
    """300 samples leave a rate of 5 % a standard error of 1.3 %."""
    assert 0.01 <= rate_of_alarms(300) <= 0.07
    assert rate_of_alarms(50, shift=0.5) > 0.5


@pytest.mark.long
def test_equal_parts_of_many_samples_raise_an_alarm_as_rarely_as_promised() -> None:
    assert 0.02 <= rate_of_alarms(3000) <= 0.055
