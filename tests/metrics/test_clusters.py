import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given
from hypothesis import strategies as st

from melanoma.metrics import PatientBootstrap, auc, cluster_variance, delong_variance
from melanoma.metrics.clusters import clustered_auc

Rows = list[tuple[bool, int, int]]
Codes = npt.NDArray[np.int64]


def has_two_patients_of_each_class(rows: Rows) -> bool:
    return all(len({patient for t, _, patient in rows if t == flag}) > 1 for flag in (True, False))


rows_of_patients = st.lists(
    st.tuples(st.booleans(), st.integers(0, 5), st.integers(0, 9)), min_size=4, max_size=40
).filter(has_two_patients_of_each_class)


@given(rows_of_patients)
def test_patients_of_one_image_have_delongs_variance(rows: Rows) -> None:
    targets, scores, _ = map(np.array, zip(*rows))
    if 2 <= targets.sum() <= targets.size - 2:
        found = cluster_variance(targets, scores, np.arange(targets.size))
        assert found == pytest.approx(delong_variance(targets, scores), abs=1e-12)


@given(rows_of_patients, st.permutations(range(40)), st.permutations(range(10)))
def test_neither_order_nor_names_nor_the_direction_change_the_variance(
    rows: Rows, order: list[int], names: list[int]
) -> None:
    targets, scores, patients = map(np.array, zip(*rows))
    places = [place for place in order if place < targets.size]
    renamed = np.array([f"P{names[patient]}" for patient in patients])
    found = cluster_variance(targets[places], -scores[places], renamed[places])
    assert found == pytest.approx(cluster_variance(targets, scores, patients), abs=1e-12)


def test_it_is_obuchowskis_sum() -> None:
    targets = np.array([1, 1, 0, 0, 1, 0, 0, 0])
    scores = np.array([5, 2, 1, 3, 4, 2, 0, 1])
    patients = np.array([0, 0, 0, 1, 1, 2, 3, 3])
    area = auc(targets, scores)
    positives, negatives = scores[targets == 1], scores[targets == 0]
    wins = (1 + np.sign(positives[:, None] - negatives)) / 2
    of_positives, of_negatives = wins.mean(axis=1) - area, wins.mean(axis=0) - area
    x, y = np.zeros(4), np.zeros(4)  # by patient, less the mean, as shares of their class
    np.add.at(x, patients[targets == 1], of_positives / 3)
    np.add.at(y, patients[targets == 0], of_negatives / 5)
    # Two patients have positives, four have negatives.
    expected = (2 / 1) * x @ x + (4 / 3) * y @ y + 2 * np.sqrt(2 / 1 * 4 / 3) * x @ y
    assert cluster_variance(targets, scores, patients) == pytest.approx(expected)


@pytest.mark.parametrize("seed", range(3))
def test_it_agrees_with_draws_of_patients(seed: int) -> None:
    """4,000 draws know a standard error to 1.1 %; the rest is what a bootstrap leaves out."""
    random = np.random.default_rng(seed)
    patients = np.repeat(np.arange(200), random.geometric(1 / 5, size=200))
    targets = (random.random(200) < 0.3)[patients]
    scores = targets + random.normal(size=200)[patients] + random.normal(size=len(patients))
    bootstrap = PatientBootstrap(targets, patients, n_draws=4000, seed=seed)
    error = cluster_variance(targets, scores, patients) ** 0.5
    assert error == pytest.approx(bootstrap.aucs(scores).std(ddof=1), rel=0.05)
    assert error > 1.1 * delong_variance(targets, scores) ** 0.5


def test_influences_give_the_covariance_of_two_aucs_of_the_same_patients() -> None:
    random = np.random.default_rng(0)
    patients = np.repeat(np.arange(300), 4)
    targets, site = (random.random(300) < 0.3)[patients], np.tile([0, 0, 1, 1], 300)
    scores = targets + 1.5 * random.normal(size=300)[patients] + random.normal(size=1200)
    halves = [(targets[site == k], scores[site == k], patients[site == k]) for k in (0, 1)]
    one, two = (clustered_auc(*half, 300) for half in halves)
    # Both halves are of the same patients, so that one seed makes the same draws.
    a, b = (PatientBootstrap(t, p, n_draws=4000).aucs(s) for t, s, p in halves)
    correlation = float(one.influence @ two.influence) / (one.variance * two.variance) ** 0.5
    assert correlation == pytest.approx(np.corrcoef(a, b)[0, 1], abs=0.05)
    assert correlation > 0.3


def test_a_class_in_one_patient_has_no_variance() -> None:
    with pytest.raises(ValueError, match="needs two patients of each class"):
        cluster_variance([1, 1, 0, 0], [1, 2, 3, 4], list("aabc"))
    with pytest.raises(ValueError, match="1 of 4 patients are missing"):
        cluster_variance([1, 1, 0, 0], [1, 2, 3, 4], np.array(["a", None, "b", "c"]))
