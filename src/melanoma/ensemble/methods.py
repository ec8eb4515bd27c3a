"""The methods of blending: pure functions of arrays.

Every method sees the predictions on a scale of its own (probabilities, ranks within a fold, logits),
fits weights there or takes them equal, and combines. `METHODS` lists them, the simplest first.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
import numpy.typing as npt

from melanoma.ensemble.climbing import climb
from melanoma.metrics import auc, rank_within
from melanoma.metrics.checks import Floats

MethodName = Literal["mean", "rank", "logit", "power", "weighted", "stack"]
Codes = npt.NDArray[np.int64]

# Exponents of the power mean; 1 is the mean, below it runs that say "low" count for more.
EXPONENTS = (0.125, 0.25, 0.5, 1.0, 2.0, 4.0, 8.0)
# Strength of the stack's L2 penalty, on logits of unit variance: scikit-learn's C.
STACK_C = 0.1
# Networks that saturate say exactly 0 or 1, whose logits are infinite.
_LEAST_PROBABILITY = 1e-6


@dataclass(frozen=True)
class Blend:
    """How the predictions of several runs become one, once everything is fitted.

    Attributes:
        weights: Shape (n_runs,); with sum 1, save those of the stack.
        intercept: Added to the weighted sum.
        exponent: Of the power mean.
        logistic: Whether the weighted sum is a logit.
    """

    weights: Floats
    intercept: float = 0.0
    exponent: float = 1.0
    logistic: bool = False

    def __call__(self, features: Floats) -> Floats:
        """Blend predictions on the method's scale, shape (n_runs, n), to shape (n,) in [0, 1]."""
        total = np.full(features.shape[1], self.intercept)
        # Run by run, because a matrix product sums in an order that depends on where a row stands.
        for weight, run in zip(self.weights, features):
            total += weight * run**self.exponent
        blended = 1 / (1 + np.exp(-total)) if self.logistic else total ** (1 / self.exponent)
        # Rounding may lift a mean of ones above one.
        blended = np.clip(blended, 0.0, 1.0)
        return blended if len(features) == 1 else _without_noise(blended)


def _without_noise(values: Floats) -> Floats:
    """Twelve digits, so that equal sums are ties, in whichever order their runs were added."""
    fraction, exponent = np.frexp(values)
    rounded: Floats = np.ldexp(np.rint(fraction * 2.0**40) / 2.0**40, exponent)
    return rounded


@dataclass(frozen=True)
class Method:
    """A way to blend.

    Attributes:
        name: As `--method` takes it.
        scale: Puts predictions, shape (n_runs, n), on the method's scale; the second argument are
            the folds, shape (n,) or (n_runs, n), whose rows were predicted by the same networks.
        probabilities: Whether blends can be read as probabilities.
        logistic: Whether the weighted sum is a logit.
        fitter: From features on that scale, shape (n_runs, n), targets and folds, both (n,); None
            where nothing is fitted.
        weights: Shape (n_runs,), given instead of equal ones where nothing is fitted.
    """

    name: str
    scale: Callable[[Floats, Codes], Floats]
    probabilities: bool = True
    logistic: bool = False
    fitter: Callable[[Floats, Codes, Codes], Blend] | None = None
    weights: Floats | None = None

    @property
    def fits(self) -> bool:
        """Whether the targets are looked at, so that the score must be nested."""
        return self.fitter is not None

    def fit(self, features: Floats, targets: Codes, folds: Codes) -> Blend:
        """Fit what there is to fit: features (n_runs, n) on the method's scale, the others (n,)."""
        if self.fitter is not None:
            return self.fitter(features, targets, folds)
        return self.blend(len(features))

    def blend(self, n_runs: int) -> Blend:
        """The blend of a method that fits nothing."""
        weights = np.ones(n_runs) if self.weights is None else self.weights
        return Blend(weights / weights.sum(), logistic=self.logistic)

    def on_test(self, networks: Sequence[Floats]) -> Floats:
        """Features of the test images: of each run, the mean over its networks on this scale.

        Args:
            networks: Per run the predictions of its folds' networks, shape (n_networks, n).

        Returns:
            Shape (n_runs, n).
        """
        together = np.zeros(networks[0].shape[1], dtype=np.int64)
        return np.array([self.scale(run, together).mean(axis=0) for run in networks])

    def with_weights(self, weights: npt.ArrayLike | None) -> "Method":
        """The same method with given weights, from 0, of any sum; None keeps them equal.

        Raises:
            ValueError: If the method fits its own.
        """
        if weights is None:
            return self
        if self.fits:
            raise ValueError(f"{self.name} fits its own weights")
        return replace(self, weights=np.asarray(weights, dtype=np.float64))

    def without(self, run: int) -> "Method":
        """The same method for all runs but one."""
        rest = None if self.weights is None else np.delete(self.weights, run)
        return replace(self, weights=rest if rest is not None and rest.any() else None)


def _as_they_are(predictions: Floats, _folds: Codes) -> Floats:
    return predictions


def _ranks(predictions: Floats, folds: Codes) -> Floats:
    own_folds = np.broadcast_to(folds, predictions.shape)
    return np.array([rank_within(*pair) for pair in zip(own_folds, predictions)])


def _logits(predictions: Floats, _folds: Codes) -> Floats:
    return logit(predictions)


def logit(probabilities: Floats) -> Floats:
    """The logarithm of the odds, of probabilities kept a millionth away from 0 and 1."""
    kept = np.clip(probabilities, _LEAST_PROBABILITY, 1 - _LEAST_PROBABILITY)
    return np.log(kept / (1 - kept))


def _fit_power(features: Floats, targets: Codes, _folds: Codes) -> Blend:
    # The plainest first, so that of equals it is the one taken.
    plainest = sorted(EXPONENTS, key=lambda exponent: abs(np.log(exponent)))
    equal = np.full(len(features), 1 / len(features))
    blends = [Blend(equal, exponent=exponent) for exponent in plainest]
    return max(blends, key=lambda blend: auc(targets, blend(features)))


def _fit_weighted(features: Floats, targets: Codes, folds: Codes) -> Blend:
    return Blend(climb(features, targets, folds))


def _fit_stack(features: Floats, targets: Codes, _folds: Codes) -> Blend:
    from sklearn.linear_model import LogisticRegression  # slow to import

    centre, spread = features.mean(axis=1), features.std(axis=1)
    spread[spread == 0] = 1.0
    standardised = ((features - centre[:, None]) / spread[:, None]).T
    fitted = LogisticRegression(C=STACK_C, solver="newton-cholesky").fit(standardised, targets)
    weights = fitted.coef_[0] / spread
    return Blend(weights, float(fitted.intercept_[0] - weights @ centre), logistic=True)


METHODS: dict[str, Method] = {
    method.name: method
    for method in (
        Method("mean", _as_they_are),
        Method("rank", _ranks, probabilities=False),
        Method("logit", _logits, logistic=True),
        Method("power", _as_they_are, fitter=_fit_power),
        Method("weighted", _ranks, probabilities=False, fitter=_fit_weighted),
        Method("stack", _logits, logistic=True, fitter=_fit_stack),
    )
}
