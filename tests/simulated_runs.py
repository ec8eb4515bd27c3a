"""Simulated runs of known quality, for what is done with predictions."""

from collections.abc import Sequence

import numpy as np
import pandas as pd

from melanoma.ensemble.predictions import Predictions
from melanoma.metrics.checks import Floats

N_FOLDS = 5


def simulate_runs(
    qualities: Sequence[float],
    seed: int = 0,
    n_patients: int = 300,
    n_test: int = 50,
    fold_offset: float = 0.0,
) -> Predictions:
    """Runs that see the target with noise, half of which they share.

    Args:
        qualities: Of each run: how far its logits move for a melanoma; 0 is guessing.
        seed: Of everything.
        n_patients: One to five images each; a sixth of the images are melanomas.
        n_test: Number of test images.
        fold_offset: How far the logits of a fold lie above those of the one before.
    """
    random = np.random.default_rng(seed)
    patients = np.repeat(np.arange(n_patients), random.integers(1, 6, n_patients))
    n_rows = len(patients)
    targets = (random.random(n_rows) < 1 / 6).astype(np.int64)
    folds = patients % N_FOLDS
    table = pd.DataFrame(
        {
            "image_name": [f"TRAIN_{row:05d}" for row in range(n_rows)],
            "patient_id": [f"P_{patient:04d}" for patient in patients],
            "fold": folds,
            "target": targets,
        }
    )
    shared = random.normal(size=n_rows)
    shared_test = random.normal(size=n_test)
    oof, test = [], []
    for quality in qualities:
        noise = shared + random.normal(size=n_rows)
        oof.append(_sigmoid(quality * targets + noise + fold_offset * folds - 2))
        noise_test = shared_test + random.normal(size=(N_FOLDS, n_test))
        test.append(_sigmoid(noise_test + fold_offset * np.arange(N_FOLDS)[:, None] - 2))
    names = [f"run_{number}" for number in range(len(qualities))]
    test_names = pd.Series([f"TEST_{row:05d}" for row in range(n_test)])
    return Predictions(names, table, np.array(oof), test_names, tuple(test))


def _sigmoid(logits: Floats) -> Floats:
    probabilities: Floats = 1 / (1 + np.exp(-logits))
    return probabilities
