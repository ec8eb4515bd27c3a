"""The ugly duckling: a lesion judged beside the same patient's other lesions."""

from dataclasses import dataclass

import numpy as np

from melanoma.ensemble.methods import Codes, logit
from melanoma.metrics import rank_within
from melanoma.metrics.checks import Floats


@dataclass(frozen=True)
class Context:
    """A fitted correction of predictions by those of the patient's other images.

    Attributes:
        weights: Shape (3,), of the columns of `context_features`.
        intercept: Added to their sum, which is a logit.
    """

    weights: Floats
    intercept: float

    def __call__(self, predictions: Floats, patients: Codes) -> Floats:
        """Correct predictions, shape (n,) in [0, 1]; patients, shape (n,), need not be known ones."""
        total = context_features(predictions, patients) @ self.weights + self.intercept
        corrected: Floats = 1 / (1 + np.exp(-total))
        return corrected


def context_features(predictions: Floats, patients: Codes) -> Floats:
    """What an image looks like, alone and among those of its patient.

    Args:
        predictions: Shape (n,), in [0, 1].
        patients: Shape (n,).

    Returns:
        Shape (n, 3): the logit; what it is above the mean logit of the patient's other images; and
        the rank among the patient's images, from -1/2 to 1/2. The last two are 0 for an only image.

    Source of the sign: Grob & Bonerandi, Archives of Dermatology 134:103-104, 1998.

    >>> context_features(np.array([0.5, 0.5, 0.5]), np.array([0, 0, 1])).tolist()
    [[0.0, 0.0, 0.0], [0.0, 0.0, 0.0], [0.0, 0.0, 0.0]]
    """
    logits = logit(predictions)
    _, patient, sizes = np.unique(patients, return_inverse=True, return_counts=True)
    size = sizes[patient]
    others = np.bincount(patient, weights=logits)[patient] - logits
    above_others = np.where(size > 1, logits - others / np.maximum(size - 1, 1), 0.0)
    return np.column_stack([logits, above_others, rank_within(patients, predictions) - 0.5])


def fit_context(predictions: Floats, targets: Codes, patients: Codes) -> Context:
    """Fit the correction: a logistic regression, with little regularisation for three weights."""
    from sklearn.linear_model import LogisticRegression  # slow to import

    features = context_features(predictions, patients)
    fitted = LogisticRegression(solver="newton-cholesky").fit(features, targets)
    return Context(fitted.coef_[0], float(fitted.intercept_[0]))
