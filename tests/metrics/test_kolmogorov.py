import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import ks_2samp

from melanoma.metrics import ks_distance, ks_p_value
from melanoma.metrics.checks import Codes, Floats

seeds = st.integers(0, 1000)


@given(seed=seeds, tied=st.booleans())
def test_the_distance_is_that_of_kolmogorov_and_smirnov(seed: int, tied: bool) -> None:
    random = np.random.default_rng(seed)
    a, b = random.random(30), random.random(20) ** 2
    if tied:
        a, b = a.round(1), b.round(1)
    assert ks_distance(a, b) == pytest.approx(ks_2samp(a, b).statistic)


@given(seed=seeds, shift=st.floats(0.1, 0.3))
def test_of_many_patients_with_one_image_the_p_value_is_kolmogorovs(
    seed: int, shift: float
) -> None:
    random = np.random.default_rng(seed)
    a, b = random.normal(size=1000), random.normal(size=600) + shift
    found = ks_p_value(a, b, np.arange(1000), np.arange(600))
    expected = ks_2samp(a, b, method="asymp").pvalue
    # Equal but for Student's correction, and for what 20 thresholds know of the design effect.
    assert math.log(found) == pytest.approx(math.log(expected), abs=1, rel=0.25)


@given(seed=seeds, order=st.permutations(range(40)))
def test_neither_order_nor_names_change_the_p_value(seed: int, order: list[int]) -> None:
    random = np.random.default_rng(seed)
    a, b, patients = random.random(40), random.random((3, 30)), random.integers(0, 9, 40)
    others = random.integers(0, 9, 30)
    renamed = np.array([f"P{(patient * 7) % 11}" for patient in patients])
    found = ks_p_value(a[order], b, renamed[order], others)
    assert found == pytest.approx(ks_p_value(a, b, patients, others), rel=1e-9)
    assert found == pytest.approx(ks_p_value(b, a, others, patients), rel=1e-9)


@given(seed=seeds, times=st.integers(2, 5))
def test_images_written_twice_say_no_more(seed: int, times: int) -> None:
    random = np.random.default_rng(seed)
    a, b, one, two = random.random(30), random.random(20) ** 2, np.arange(30), np.arange(20)
    found = ks_p_value(np.repeat(a, times), b, np.repeat(one, times), two)
    assert found == pytest.approx(ks_p_value(a, b, one, two))


@pytest.mark.parametrize("n_patients", [1, 2, 20])
def test_constant_predictions_are_alike_or_apart(n_patients: int) -> None:
    patients = np.arange(40) % n_patients
    same, other = np.full(40, 0.3), np.full(40, 0.6)
    assert ks_p_value(same, same, patients, patients) == 1
    assert (ks_p_value(same, other, patients, patients) < 0.01) == (n_patients == 20)


def clustered(random: np.random.Generator, n_patients: int) -> tuple[Floats, Codes]:
    patients = np.repeat(np.arange(n_patients), random.geometric(1 / 8, n_patients))
    of_patient = random.normal(size=n_patients)[patients]
    return 0.8 * of_patient + 0.6 * random.normal(size=patients.size), patients


def test_equal_distributions_are_told_apart_as_rarely_as_promised() -> None:
    """300 samples of the sample's size leave a rate of 5 % a standard error of 1.3 %."""
    random = np.random.default_rng(0)
    found, ignoring = [], []
    for _ in range(300):
        (a, of_a), (b, of_b) = (clustered(random, number) for number in (48, 15))
        found.append(ks_p_value(a, b, of_a, of_b) <= 0.05)
        ignoring.append(ks_p_value(a, b, np.arange(a.size), np.arange(b.size)) <= 0.05)
    assert 0.01 <= np.mean(found) <= 0.06
    assert np.mean(ignoring) > 0.15  # images are not independent


def test_what_has_no_patient_is_refused() -> None:
    with pytest.raises(ValueError, match=r"patients \(2,\) and rows \(3,\)"):
        ks_p_value([0.1, 0.2, 0.3], [0.1, 0.2], [0, 1], [0, 1])
    with pytest.raises(ValueError, match="predictions must be finite"):
        ks_p_value([0.1, np.nan], [0.1, 0.2], [0, 1], [0, 1])
