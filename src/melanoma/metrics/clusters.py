"""The uncertainty of an AUC whose rows come in clusters, such as the images of a patient."""

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from melanoma.metrics.checks import Codes, Floats, as_codes, as_two_classes
from melanoma.metrics.delong import placements


@dataclass(frozen=True)
class ClusteredAuc:
    """An AUC, and what each patient adds to its error.

    Attributes:
        auc: In [0, 1].
        influence: Shape (n_patients,), 0 for a patient without rows. Its sum of squares is the
            variance of the AUC; its sum of products with the influence on another AUC is their
            covariance.
        n_positive: Patients with a positive, at least 2.
        n_negative: Patients with a negative, at least 2.
    """

    auc: float
    influence: Floats
    n_positive: int
    n_negative: int

    @property
    def variance(self) -> float:
        """The variance over samples of patients."""
        return float(self.influence @ self.influence)

    @property
    def n_rarer(self) -> int:
        """Patients with the class that fewer patients have."""
        return min(self.n_positive, self.n_negative)


def cluster_variance(
    targets: npt.ArrayLike, predictions: npt.ArrayLike, patients: npt.ArrayLike
) -> float:
    """The variance of an AUC over samples of patients, each with all their rows.

    It is `delong_variance` where every row is of another patient.

    Args:
        targets: Shape (n,), 0 or 1, each in at least two patients.
        predictions: Shape (n,), finite; larger means more likely to be 1.
        patients: Shape (n,), whose image each row is: numbers or text.

    Raises:
        ValueError: If the shapes differ, a value is not finite, a patient is missing, or a class is
            in fewer than two patients.

    Source: as `clustered_auc`.

    >>> round(cluster_variance([0, 0, 1, 1], [0.1, 0.4, 0.35, 0.8], list("abcd")), 6)
    0.125
    """
    codes = as_codes(patients, targets, "patients")
    return clustered_auc(targets, predictions, codes, int(codes.max()) + 1).variance


def clustered_auc(
    targets: npt.ArrayLike, predictions: npt.ArrayLike, patients: Codes, n_patients: int
) -> ClusteredAuc:
    """An AUC with the sums, by patient, of DeLong's placements less their mean.

    Args:
        targets: Shape (n,), 0 or 1, each in at least two patients.
        predictions: Shape (n,), finite; larger means more likely to be 1.
        patients: Shape (n,), numbers from 0.
        n_patients: The length of the influence: more than the largest number of a patient.

    Raises:
        ValueError: If the shapes differ, a value is not finite, or a class is in fewer than two
            patients.

    Source: Obuchowski, Biometrics 53:567-578, 1997. The sums of each class are scaled by
    sqrt(n / (n - 1)), n being its patients; so the factor of the covariance of the two classes is
    the product of these, where he has n / (n - 1) of all patients.
    """
    positive, scores = as_two_classes(targets, predictions)
    influence, counts = np.zeros(n_patients), []
    for rows, values in zip((positive, ~positive), placements(positive, scores)):
        n_of_class = int(np.count_nonzero(np.bincount(patients[rows])))
        if n_of_class < 2:
            raise ValueError("the variance over patients needs two patients of each class")
        of_rows = (values - values.mean()) * (
            math.sqrt(n_of_class / (n_of_class - 1)) / values.size
        )
        influence += np.bincount(patients[rows], weights=of_rows, minlength=n_patients)
        counts.append(n_of_class)
    return ClusteredAuc(float(values.mean()), influence, *counts)
