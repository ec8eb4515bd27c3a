"""Whether two samples of predictions are distributed alike, by patients."""

import numpy as np
import numpy.typing as npt

from melanoma.metrics.checks import Codes, Floats, as_codes, as_finite
from melanoma.metrics.significance import satterthwaite

# Where the spread of the distribution functions is compared; it changes slowly from one to the next.
_THRESHOLDS = np.arange(0.025, 1, 0.05)


def ks_distance(a: Floats, b: Floats) -> float:
    """The two-sample Kolmogorov-Smirnov statistic, in [0, 1].

    >>> ks_distance(np.array([0.1, 0.2]), np.array([0.2, 0.3]))
    0.5
    """
    a, b = np.sort(a), np.sort(b)
    values = np.concatenate([a, b])
    shares = (np.searchsorted(x, values, side="right") / x.size for x in (a, b))
    return float(np.abs(next(shares) - next(shares)).max())


def ks_p_value(
    a: npt.ArrayLike, b: npt.ArrayLike, patients_a: npt.ArrayLike, patients_b: npt.ArrayLike
) -> float:
    """How often the Kolmogorov-Smirnov distance of two equal distributions is as large as this one.

    The images of a patient resemble each other, so that n of them count as fewer independent ones:
    n over the design effect, which is the variance of the distribution function over patients
    divided by that over images, each summed over thresholds. Both variances are estimates with as
    many degrees of freedom as there are patients, less one: as Student's t does with the normal
    distribution, the bound 2 exp(-2 n d^2) of Massart is averaged over their chi-squared, which
    makes it 2 (1 + 4 n d^2 / f)^(-f / 2).

    Args:
        a: Shape (n,) or (n_networks, n), finite: by one network, or by each of several.
        b: Likewise, of other images; their number may differ.
        patients_a: Shape (n,), whose image each column of `a` is: numbers or text.
        patients_b: Likewise for `b`.

    Returns:
        In (0, 1].

    Raises:
        ValueError: If the shapes differ, a prediction is not finite, or a patient is missing.

    Sources: Massart, The Annals of Probability 18:1269-1283, 1990; Rao & Scott, Journal of the
    American Statistical Association 76:221-230, 1981 (a test of counts over the design effect).
    """
    sides = [np.atleast_2d(as_finite(values)) for values in (a, b)]
    thresholds = np.quantile(np.concatenate([side.ravel() for side in sides]), _THRESHOLDS)
    shares = []
    for side, patients in zip(sides, (patients_a, patients_b)):
        codes = as_codes(patients, side[0], "patients")
        n_patients = int(codes.max()) + 1
        variance = 1 / _effective_number(side, codes, n_patients, thresholds)
        shares.append((variance, max(1, n_patients - 1)))
    distance = ks_distance(sides[0].ravel(), sides[1].ravel())
    squared, freedom = distance**2 / sum(variance for variance, _ in shares), satterthwaite(shares)
    return float(min(1.0, 2 * (1 + 4 * squared / freedom) ** (-freedom / 2)))


def _effective_number(
    values: Floats, patients: Codes, n_patients: int, thresholds: Floats
) -> float:
    """The number of independent images that are as sure of their distribution as these.

    It is at most the number of images, however many networks predict each of them.
    """
    n_images, sizes = values.shape[1], np.bincount(patients)
    if n_patients == 1:
        return 1.0
    by_images = by_patients = 0.0
    for threshold in thresholds:
        below = (values <= threshold).mean(axis=0)
        share = float(below.mean())
        sums = np.bincount(patients, weights=below) - share * sizes
        by_images += share * (1 - share)
        by_patients += float(sums @ sums) / n_images**2
    by_patients *= n_patients / (n_patients - 1)
    return min(float(n_images), by_images / by_patients) if by_patients else float(n_images)
