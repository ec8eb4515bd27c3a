"""What a threshold does: how many are called melanoma, rightly and wrongly."""

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from melanoma.ensemble.methods import Codes
from melanoma.metrics.checks import Floats

# The slider has about as many stops as a wide window has pixels for it.
MOST_STOPS = 600
SPECIFICITY = 0.9


@dataclass(frozen=True)
class Thresholds:
    """Confusion matrices by threshold: an image is called melanoma from the threshold on.

    Attributes:
        thresholds: Ascending, shape (n_stops,).
        true_positives: Melanomas that are called so.
        false_positives: Others that are called melanoma.
        n_positives: Melanomas.
        n_negatives: Others.
        start: The stop with the highest sensitivity of those with 90 % specificity or more.
    """

    thresholds: list[float]
    true_positives: list[int]
    false_positives: list[int]
    n_positives: int
    n_negatives: int
    start: int

    @property
    def threshold(self) -> float:
        """Where the slider starts."""
        return self.thresholds[self.start]

    @property
    def sensitivities(self) -> list[float]:
        """Of every stop."""
        return [count / self.n_positives for count in self.true_positives]

    @property
    def specificities(self) -> list[float]:
        """Of every stop."""
        return [1 - count / self.n_negatives for count in self.false_positives]

    def as_dict(self) -> dict[str, Any]:
        """For JSON."""
        return asdict(self)


def confusions(targets: Codes, scores: Floats) -> Thresholds:
    """Count at thresholds that exist, among them that of the sensitivity at 90 % specificity.

    Args:
        targets: Shape (n,), 0 or 1, both present.
        scores: Shape (n,), finite.
    """
    positives, negatives = np.sort(scores[targets == 1]), np.sort(scores[targets == 0])
    chosen = _at_specificity(positives, negatives)
    stops = _stops(positives, negatives, chosen)
    return Thresholds(
        stops.tolist(),
        (positives.size - np.searchsorted(positives, stops)).tolist(),
        (negatives.size - np.searchsorted(negatives, stops)).tolist(),
        positives.size,
        negatives.size,
        int(np.searchsorted(stops, chosen)),
    )


def _at_specificity(positives: Floats, negatives: Floats) -> float:
    """The lowest score of a melanoma that leaves the specificity; the highest score where none does."""
    false_positives = negatives.size - np.searchsorted(negatives, positives)
    # As in melanoma.metrics: rounding must not ask for one more.
    allowed = (1 - SPECIFICITY) * negatives.size + 1e-9
    enough = positives[false_positives <= allowed]
    return float(enough[0] if enough.size else np.nextafter(negatives[-1], np.inf))


def _stops(positives: Floats, negatives: Floats, chosen: float) -> Floats:
    # Where melanomas are something happens; half of the stops are theirs.
    parts = [_spread(values, MOST_STOPS // 2) for values in (positives, negatives)]
    ends = [np.nextafter(max(positives[-1], negatives[-1]), np.inf), chosen]
    stops: Floats = np.unique(np.concatenate([*parts, ends]))
    return stops


def _spread(ordered: Floats, most: int) -> Floats:
    distinct: Floats = np.unique(ordered)
    if distinct.size <= most:
        return distinct
    places = np.linspace(0, distinct.size - 1, most).round().astype(np.int64)
    return distinct[places]
