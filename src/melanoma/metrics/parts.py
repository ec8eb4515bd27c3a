"""Whether a part of the rows (a fold, a group) has a lower AUC than the other parts."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from melanoma.metrics.checks import Codes, Flags, Floats, as_codes, as_scored
from melanoma.metrics.clusters import ClusteredAuc, clustered_auc
from melanoma.metrics.significance import satterthwaite


@dataclass(frozen=True)
class PartTest:
    """The AUC of one part beside those of the other parts.

    Attributes:
        part: Its name, or number.
        auc: Of its own rows.
        others: The mean of the other parts' own AUCs, weighted by their patients.
        p_value: One-sided, in [0, 1], of the part being no weaker than the others.
    """

    part: Any
    auc: float
    others: float
    p_value: float


def compare_parts(
    targets: npt.ArrayLike,
    predictions: npt.ArrayLike,
    parts: npt.ArrayLike,
    patients: npt.ArrayLike,
    fewest: int = 2,
) -> list[PartTest]:
    """Test whether each part has a lower AUC than the others have, each by itself.

    Rows of two parts are never ranked in one list. So a part is not called weak because predictions
    are calibrated otherwise in it, nor because what its rows have in common (an age) tells the rows
    of other parts from each other.

    A patient may have rows in several parts, which makes their AUCs covary. The difference is taken
    on the scale of log-odds; its reference is Student's t, with Satterthwaite's degrees of freedom
    from those of the parts: the patients of their rarer class, less one. One more patient, whose
    placement is 1/2, is added to the others, and to the part if its AUC is below 1/2: where no
    spread is seen, as at an AUC of 1, few patients must not seem to be certain. Both err on the side
    of no difference.

    Args:
        targets: Shape (n,), 0 or 1.
        predictions: Shape (n,), finite; larger means more likely to be 1.
        parts: Shape (n,), numbers or text.
        patients: Shape (n,), likewise.
        fewest: Rows of each class that a part must have; smaller parts are left out, as are those
            with a class in one patient.

    Returns:
        A test per part that is left, in sorted order; none if fewer than two parts are left.

    Raises:
        ValueError: If the shapes differ, a value is not finite, or a part or a patient is missing.

    Sources: Obuchowski, Biometrics 53:567-578, 1997 (patients); Pepe, The Statistical Evaluation of
    Medical Tests for Classification and Prediction, 2003 (log-odds); Satterthwaite, Biometrics
    Bulletin 2:110-114, 1946 (degrees of freedom); Agresti & Coull, The American Statistician
    52:119-126, 1998 (added rows).
    """
    positive, scores = as_scored(targets, predictions)
    codes, names = as_codes(parts, scores, "parts"), np.unique(np.asarray(parts))
    owners = as_codes(patients, scores, "patients")
    known = {}
    for code, name in enumerate(names.tolist()):
        rows = codes == code
        if _is_large_enough(positive[rows], owners[rows], fewest):
            n_patients = int(owners.max()) + 1
            known[name] = clustered_auc(positive[rows], scores[rows], owners[rows], n_patients)
    return list(_compare(known)) if len(known) > 1 else []


def _is_large_enough(positive: Flags, owners: Codes, fewest: int) -> bool:
    classes = positive, ~positive
    return all(
        rows.sum() >= max(fewest, 2) and np.unique(owners[rows]).size > 1 for rows in classes
    )


def _compare(known: dict[Any, ClusteredAuc]) -> Iterator[PartTest]:
    for name, area in known.items():
        others = _combine([other for other in known.values() if other is not area])
        yield PartTest(name, area.auc, others.auc, _p_value(_combine([area]), others))


@dataclass(frozen=True)
class _Side:
    """A weighted mean of AUCs.

    Attributes:
        auc: The mean.
        influence: Of each patient on it.
        shares: Each AUC's share of the variance, with its degrees of freedom.
        n_patients: Of the AUCs' rarer classes together.
        added: The variance that an added patient has, of whom nobody else knows.
    """

    auc: float
    influence: Floats
    shares: list[tuple[float, int]]
    n_patients: int
    added: float = 0.0

    def with_one_more(self) -> "_Side":
        """The same with one more patient, of placement 1/2."""
        n = self.n_patients
        added = ((self.auc - 0.5) / (n + 1)) ** 2
        auc = (n * self.auc + 0.5) / (n + 1)
        return replace(self, auc=auc, shares=[*self.shares, (added, n)], added=added)

    def on_log_odds(self) -> "_Side":
        """The same on the scale of log-odds; the AUC is neither 0 nor 1."""
        from scipy.special import logit  # slow to import

        slope = 1 / (self.auc * (1 - self.auc))
        shares = [(slope**2 * variance, freedom) for variance, freedom in self.shares]
        return _Side(
            float(logit(self.auc)),
            slope * self.influence,
            shares,
            self.n_patients,
            slope**2 * self.added,
        )


def _combine(areas: Sequence[ClusteredAuc]) -> _Side:
    # Weights by the counts of patients, as a mean over two classes is precise. Not by variances:
    # these are smallest where an AUC is high by chance.
    weights = np.array([1 / (1 / area.n_positive + 1 / area.n_negative) for area in areas])
    weights /= weights.sum()
    return _Side(
        float(weights @ [area.auc for area in areas]),
        sum(weight * area.influence for weight, area in zip(weights, areas)),
        [(weight**2 * area.variance, area.n_rarer - 1) for weight, area in zip(weights, areas)],
        sum(area.n_rarer for area in areas),
    )


def _p_value(part: _Side, others: _Side) -> float:
    from scipy.special import stdtr  # slow to import

    part = part.with_one_more() if part.auc < 0.5 else part
    others = others.with_one_more() if others.auc > 0.5 else others
    if part.auc == 1 or others.auc == 0:
        return 1.0
    part, others = part.on_log_odds(), others.on_log_odds()
    influence = part.influence - others.influence
    variance = float(influence @ influence) + part.added + others.added
    if variance == 0:
        return 1.0  # the part has 1/2 or more, and the others have 1/2 or less
    freedom = satterthwaite([*part.shares, *others.shares])
    return float(stdtr(freedom, (part.auc - others.auc) / np.sqrt(variance)))
