import math
from statistics import NormalDist

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import roc_auc_score

from melanoma.metrics import PatientBootstrap, auc, bootstrap, delong_variance
from melanoma.metrics.intervals import auc_interval

Flags = npt.NDArray[np.bool_]
Codes = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]
Rows = list[tuple[bool, float, int]]

drawn = st.lists(
    st.tuples(st.booleans(), st.integers(0, 6).map(lambda step: step / 6), st.integers(0, 7)),
    min_size=2,
    max_size=50,
).filter(lambda rows: len({target for target, *_ in rows}) == 2)


@given(drawn)
def test_each_draw_has_scikit_learns_weighted_auc_with_ties(rows: Rows) -> None:
    targets, scores, patients = map(np.array, zip(*rows))
    bootstrapped = PatientBootstrap(targets, patients, n_draws=3)
    codes = np.unique(patients, return_inverse=True)[1]
    expected = [
        roc_auc_score(targets, scores, sample_weight=counts[codes]) for counts in bootstrapped.draws
    ]
    np.testing.assert_allclose(bootstrapped.aucs(scores), expected, rtol=0, atol=1e-12)


@given(drawn)
def test_each_draw_has_as_many_patients_and_both_classes(rows: Rows) -> None:
    targets, _, patients = map(np.array, zip(*rows))
    draws = PatientBootstrap(targets, patients, n_draws=20).draws
    assert (draws.sum(axis=1) == len(set(patients))).all()
    for target in (0, 1):
        of_class = np.isin(np.unique(patients), patients[targets == target])
        assert draws[:, of_class].any(axis=1).all()


@given(drawn, st.permutations(range(50)))
def test_draws_do_not_depend_on_the_order_of_rows(rows: Rows, order: list[int]) -> None:
    shuffled = [rows[place] for place in order if place < len(rows)]
    first, second = (
        PatientBootstrap(targets, patients, n_draws=5, seed=3).aucs(scores)
        for targets, scores, patients in (zip(*rows), zip(*shuffled))
    )
    np.testing.assert_allclose(first, second, rtol=0, atol=1e-12)


def clustered_rows(random: np.random.Generator) -> tuple[Flags, Codes, Floats]:
    """Targets, patients, and two predictions of the same true AUC (see `TRUE_AUC`)."""
    patients = np.repeat(np.arange(150), 1 + random.geometric(1 / 4, size=150))
    n_rows = len(patients)
    risk = random.gamma(2, 0.1, size=150)
    targets = random.random(n_rows) < np.minimum(risk, 0.9)[patients]
    of_patient = random.normal(size=(3, 150))[:, patients]
    noise = (of_patient + random.normal(size=(3, n_rows))) / math.sqrt(2)
    predictions = 1.5 * targets + (noise[:2] + noise[2]) / math.sqrt(2)
    return targets, patients, predictions


TRUE_AUC = NormalDist().cdf(1.5 / math.sqrt(2))


@pytest.fixture(scope="module")
def simulated() -> dict[str, Flags]:
    """What 1,000 simulated tables say: is the truth inside, and is a difference claimed.

    So many leave a share of 95 percent a standard error of 0.7 points. Intervals and tests whose
    standard errors are a tenth too small or too large fail below; without patients, they are by a
    quarter too small.
    """
    random = np.random.default_rng(0)
    found: dict[str, list[bool]] = {"inside": [], "inside_of_delong": [], "claimed": []}
    for seed in range(1000):
        targets, patients, (a, b) = clustered_rows(random)
        bootstrapped = PatientBootstrap(targets, patients, n_draws=200, seed=seed)
        interval = bootstrapped.interval(a)
        reach = 1.96 * math.sqrt(delong_variance(targets, a))
        found["inside"].append(interval.low <= TRUE_AUC <= interval.high)
        found["inside_of_delong"].append(abs(auc(targets, a) - TRUE_AUC) <= reach)
        found["claimed"].append(bootstrapped.difference(a, b).p_value < 0.05)
    return {name: np.array(answers) for name, answers in found.items()}


@pytest.mark.long
def test_an_interval_of_95_percent_holds_the_truth_in_95_of_100(
    simulated: dict[str, Flags],
) -> None:
    assert 0.93 <= simulated["inside"].mean() <= 0.97


@pytest.mark.long
def test_without_patients_it_would_be_too_narrow(simulated: dict[str, Flags]) -> None:
    assert simulated["inside_of_delong"].mean() < 0.91


@pytest.mark.long
def test_equals_are_told_apart_as_rarely_as_promised(simulated: dict[str, Flags]) -> None:
    assert 0.03 < simulated["claimed"].mean() < 0.07


def test_a_difference_that_is_there_is_found() -> None:
    targets, patients, (a, _) = clustered_rows(np.random.default_rng(0))
    found = PatientBootstrap(targets, patients).difference(a + targets, a)
    assert found.difference == auc(targets, a + targets) - auc(targets, a)
    assert 0 < found.low < found.difference < found.high
    assert found.p_value < 0.001


def test_predictions_ranked_alike_do_not_differ() -> None:
    targets, patients, (a, _) = clustered_rows(np.random.default_rng(0))
    found = PatientBootstrap(targets, patients).difference(a, np.exp(a))
    assert (found.difference, found.low, found.high, found.p_value) == (0, 0, 0, 1)


def test_the_interval_widens_with_its_level() -> None:
    targets, patients, (a, _) = clustered_rows(np.random.default_rng(0))
    bootstrapped = PatientBootstrap(targets, patients)
    narrow, wide = bootstrapped.interval(a, level=0.5), bootstrapped.interval(a, level=0.99)
    assert wide.low < narrow.low < auc(targets, a) < narrow.high < wide.high


def test_few_patients_with_a_positive_leave_few_degrees_of_freedom() -> None:
    targets, patients = np.arange(40) < 3, np.arange(40)
    scores = np.random.default_rng(0).random(40) + targets / 2
    bootstrapped = PatientBootstrap(targets, patients)
    error = bootstrapped.aucs(scores).std(ddof=1) * math.sqrt(3 / 2)
    expected = auc_interval(auc(targets, scores), error, freedom=2, level=0.95)
    assert bootstrapped.interval(scores) == expected


def test_perfect_predictions_are_as_sure_as_there_are_patients_of_the_rarer_class() -> None:
    targets = np.repeat([0, 1], [40, 20])
    alone = PatientBootstrap(targets, np.arange(60), n_draws=2)
    # The same images, but the 20 positives are of 5 patients.
    shared = PatientBootstrap(targets, np.r_[np.arange(40), np.repeat(range(40, 45), 4)], n_draws=2)
    assert alone.interval(targets) == auc_interval(1, 0, freedom=19, level=0.95)
    assert shared.interval(targets) == auc_interval(1, 0, freedom=4, level=0.95)
    assert alone.interval(1 - targets) == auc_interval(0, 0, freedom=19, level=0.95)


def test_the_difference_of_two_perfect_predictions_is_certain() -> None:
    found = PatientBootstrap([0, 0, 1, 1], [1, 2, 3, 4]).difference([1, 2, 3, 4], [0, 0, 9, 9])
    assert (found.difference, found.low, found.high, found.p_value) == (0, 0, 0, 1)


@pytest.mark.long
@pytest.mark.parametrize("n_positive", [10, 50])
@pytest.mark.parametrize("true_auc", [0.98, 0.995])
def test_near_an_auc_of_1_an_interval_holds_the_truth_in_9_of_10(
    n_positive: int, true_auc: float
) -> None:
    """A few positives look like negatives, the others are told apart: many AUCs are exactly 1."""
    targets = np.repeat([1, 0], [n_positive, 200])
    inside = []
    for seed in range(500):
        random = np.random.default_rng(seed)
        looks_positive = targets * (random.random(targets.size) > 2 * (1 - true_auc))
        scores = random.normal(size=targets.size) + 20 * looks_positive
        bootstrapped = PatientBootstrap(targets, np.arange(targets.size), n_draws=200, seed=seed)
        interval = bootstrapped.interval(scores)
        inside.append(interval.low <= true_auc <= interval.high)
    assert np.mean(inside) >= 0.9


def test_the_seed_makes_the_draws() -> None:
    one, again, other = (PatientBootstrap([0, 1] * 9, range(18), seed=seed) for seed in (1, 1, 2))
    assert np.array_equal(one.draws, again.draws)
    assert not np.array_equal(one.draws, other.draws)


def test_blocks_of_draws_make_the_same_aucs(monkeypatch: pytest.MonkeyPatch) -> None:
    targets, patients, (a, _) = clustered_rows(np.random.default_rng(0))
    whole = PatientBootstrap(targets, patients).aucs(a)
    monkeypatch.setattr(bootstrap, "BLOCK_BYTES", 8000)
    np.testing.assert_allclose(PatientBootstrap(targets, patients).aucs(a), whole, atol=1e-12)


def test_aucs_once_given_out_cannot_be_changed() -> None:
    aucs = PatientBootstrap([0, 1] * 9, range(18)).aucs(range(18))
    with pytest.raises(ValueError, match="read-only"):
        aucs[0] = 1


@pytest.mark.parametrize(
    ("targets", "patients", "n_draws", "message"),
    [
        ([0, 0], ["a", "b"], 9, "needs both classes"),
        ([0, 1], ["a", None], 9, "1 of 2 patients are missing"),
        ([0, 1], ["a"], 9, r"patients \(1,\) and rows \(2,\) must be 1-D alike"),
        ([0, 1], ["a", "b"], 1, "n_draws 1 must be at least 2"),
    ],
)
def test_what_cannot_be_drawn_is_refused(
    targets: list[int], patients: npt.ArrayLike, n_draws: int, message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        PatientBootstrap(targets, patients, n_draws)


def test_predictions_of_other_rows_are_refused() -> None:
    with pytest.raises(ValueError, match=r"targets \(2,\) and predictions \(3,\)"):
        PatientBootstrap([0, 1], ["a", "b"]).aucs([0.1, 0.2, 0.3])
