"""Predictions in variants, so that a score can be corrected for the choice of an epoch.

A fold that predicts from the epoch with its own best score flatters that score. Its correction needs
the same predictions three times: as they are handed in, from one view at the epoch that the fold has
chosen, and from one view at the epoch that the other folds would have chosen. The difference between
the last two is the optimism, which is subtracted from the score of the first.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

from melanoma.metrics import Interval, PairedDifference, PatientBootstrap
from melanoma.metrics.checks import Floats

# Shape (1, ..., n_rows) where nothing has to be corrected. Otherwise (3, ..., n_rows): as predicted,
# at the fold's own epoch, at the epoch that the other folds choose.
Variants = Floats

_Score = TypeVar("_Score", float, Floats)


def corrected(score: Callable[[Floats], _Score], variants: Variants) -> _Score:
    """The score of predictions less the optimism of their epochs.

    Where one view is predicted, the first two variants are equal, and this is exactly the score of
    the third.

    Args:
        score: Any function of predictions, shape (n_rows,).
        variants: Shape (1, n_rows) or (3, n_rows).
    """
    if len(variants) == 1:
        return score(variants[0])
    predicted, own, honest = (score(variant) for variant in variants)
    return predicted - own + honest


def corrected_share(score: Callable[[Floats], float], variants: Variants) -> float:
    """As `corrected`, for a score in [0, 1], which a correction must not leave."""
    return min(1.0, max(0.0, corrected(score, variants)))


def averages_views(variants: Variants) -> bool:
    """Whether several views were predicted, so that the epochs' one view is not what was predicted."""
    return len(variants) == 3 and bool((variants[0] != variants[1]).any())


def honest_where_known(variants: Variants) -> Floats:
    """The predictions to look at: at the honest epochs, unless several views were predicted.

    Args:
        variants: Shape (1, n_rows) or (3, n_rows).

    Returns:
        Shape (n_rows,).
    """
    shown: Floats = variants[0] if averages_views(variants) else variants[-1]
    return shown


@dataclass(frozen=True)
class VariantBootstrap:
    """Intervals and comparisons of corrected AUCs, all on the same draws of patients.

    Attributes:
        bootstrap: The draws.
    """

    bootstrap: PatientBootstrap

    def auc(self, variants: Variants) -> float:
        """The corrected AUC, in [0, 1]."""
        return corrected_share(self.bootstrap.auc, variants)

    def interval(self, variants: Variants) -> Interval:
        """The 95 % confidence interval of the corrected AUC."""
        draws = corrected(self.bootstrap.aucs, variants)
        return self.bootstrap.interval_of(self.auc(variants), draws)

    def variance(self, variants: Variants) -> float:
        """The variance of the corrected AUC over samples of patients."""
        error, _ = self.bootstrap.standard_error(corrected(self.bootstrap.aucs, variants))
        return error**2

    def difference(self, a: Variants, b: Variants) -> PairedDifference:
        """The corrected AUC of `a` less that of `b`."""
        draws = corrected(self.bootstrap.aucs, a) - corrected(self.bootstrap.aucs, b)
        estimate = corrected(self.bootstrap.auc, a) - corrected(self.bootstrap.auc, b)
        return self.bootstrap.difference_of(estimate, draws)
