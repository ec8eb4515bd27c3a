"""From a standard error to a confidence interval and a p-value."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Interval:
    """A confidence interval.

    Attributes:
        low: Its lower end.
        high: Its upper end.
    """

    low: float
    high: float


@dataclass(frozen=True)
class PairedDifference:
    """The difference of two AUCs measured on the same rows.

    Attributes:
        difference: The first minus the second.
        low: Lower end of its confidence interval.
        high: Upper end; 0 is outside where the p-value is below 1 - level, and only there.
        p_value: Two-sided, in [0, 1], of there being no difference.
    """

    difference: float
    low: float
    high: float
    p_value: float


def auc_interval(auc: float, error: float, freedom: int, level: float) -> Interval:
    """The interval that is symmetrical on the scale of log-odds, which keeps it inside [0, 1].

    An AUC of 1 or 0 has no spread to estimate an error from. Its interval is Clopper and Pearson's
    for n successes in n trials: pair each of the n patients of the rarer class with another patient
    of the other class. Each pair is ranked rightly with a probability of AUC, and independently of
    the other pairs. If all images are ranked rightly, then all pairs are, which has a probability
    of AUC ** n. This holds whatever the distribution of the predictions.

    Args:
        auc: The estimate, in [0, 1].
        error: Its standard error. Where it is 0 (all predictions are equal) the interval is a
            point, unless the AUC is 0 or 1.
        freedom: Degrees of freedom of the standard error, at least 1: the patients of the rarer
            class, less one.
        level: Of confidence, in (0, 1).

    Raises:
        ValueError: If the level is outside (0, 1).

    Sources: Pepe, The Statistical Evaluation of Medical Tests for Classification and Prediction,
    2003 (log-odds); Clopper & Pearson, Biometrika 26:404-413, 1934 (an AUC of 0 or 1).

    >>> auc_interval(0.5, 0.1, freedom=1000, level=0.95)
    Interval(low=0.31..., high=0.68...)
    >>> auc_interval(1, 0, freedom=19, level=0.95)
    Interval(low=0.83..., high=1.0)
    """
    from scipy.special import expit, logit  # slow to import

    reach = _t_quantile(freedom, level) * error
    if auc in (0, 1):
        worst = ((1 - level) / 2) ** (1 / (freedom + 1))
        return Interval(worst, 1.0) if auc else Interval(0.0, 1 - worst)
    if reach == 0:
        return Interval(auc, auc)
    reach /= auc * (1 - auc)
    return Interval(float(expit(logit(auc) - reach)), float(expit(logit(auc) + reach)))


def paired_difference(
    difference: float, error: float, freedom: int, level: float
) -> PairedDifference:
    """The t interval and test of a difference; p is 1 or 0 where its standard error is 0.

    Args:
        difference: The estimate.
        error: Its standard error.
        freedom: Degrees of freedom of the standard error, at least 1.
        level: Of confidence, in (0, 1).

    Raises:
        ValueError: If the level is outside (0, 1).
    """
    from scipy.special import stdtr  # slow to import

    reach = _t_quantile(freedom, level) * error
    if error == 0:
        p_value = float(difference == 0)
    else:
        p_value = float(2 * stdtr(freedom, -abs(difference) / error))
    return PairedDifference(difference, difference - reach, difference + reach, p_value)


def _t_quantile(freedom: int, level: float) -> float:
    from scipy.special import stdtrit  # slow to import

    if not 0 < level < 1:
        raise ValueError(f"level {level} must be between 0 and 1")
    return float(stdtrit(freedom, (1 + level) / 2))
