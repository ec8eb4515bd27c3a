import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from melanoma.ensemble.context import context_features, fit_context
from melanoma.ensemble.methods import logit
from melanoma.metrics import auc


def test_features_by_hand() -> None:
    predictions = np.array([0.5, 0.9, 0.1, 0.7])
    features = context_features(predictions, np.array([7, 7, 7, 3]))
    logits = logit(predictions)
    assert features[:, 0] == pytest.approx(logits)
    assert features[0, 1] == pytest.approx(0, abs=1e-12)
    assert features[1, 1] == pytest.approx(logits[1] - (logits[0] + logits[2]) / 2)
    assert features[:, 2] == pytest.approx([0, 1 / 3, -1 / 3, 0], abs=1e-12)
    assert features[3, 1:].tolist() == [0, 0]


@given(seed=st.integers(0, 1000))
def test_the_order_of_rows_and_the_names_of_patients_change_nothing(seed: int) -> None:
    random = np.random.default_rng(seed)
    predictions, patients = random.random(30), random.integers(0, 8, 30)
    rows, names = random.permutation(30), random.permutation(8)
    features = context_features(predictions, patients)
    again = context_features(predictions[rows], names[patients[rows]])
    assert again == pytest.approx(features[rows], abs=1e-9)


def ducklings(seed: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Patients whose lesions all look alike, but for a melanoma."""
    random = np.random.default_rng(seed)
    patients = np.repeat(np.arange(100), 6)
    targets = (random.random(600) < 0.15).astype(np.int64)
    logits = random.normal(0, 3, 100)[patients] + targets + random.normal(0, 0.4, 600)
    return 1 / (1 + np.exp(-logits)), targets, patients


def test_an_ugly_duckling_is_found() -> None:
    predictions, targets, patients = ducklings(0)
    context = fit_context(predictions, targets, patients)
    new, new_targets, new_patients = ducklings(1)
    assert auc(new_targets, context(new, new_patients)) > auc(new_targets, new) + 0.2


def test_patients_with_an_only_image_keep_their_ranking() -> None:
    predictions, targets, patients = ducklings(0)
    context = fit_context(predictions, targets, patients)
    alone = np.linspace(0.01, 0.99, 20)
    corrected = context(alone, np.arange(20))
    assert (np.diff(corrected) > 0).all()
    assert corrected.min() > 0
    assert corrected.max() < 1
