"""What tests share: degrees of freedom, and the correction for how many there are."""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from melanoma.metrics.checks import Floats


def satterthwaite(shares: Sequence[tuple[float, int]]) -> float:
    """Degrees of freedom of a sum of independent variances, at least 1.

    Args:
        shares: Each variance with its own degrees of freedom; at least one is above 0.

    Source: Satterthwaite, Biometrics Bulletin 2:110-114, 1946.

    >>> satterthwaite([(1.0, 10), (1.0, 10)])
    20.0
    """
    total = sum(variance for variance, _ in shares)
    return max(1.0, total**2 / sum(variance**2 / freedom for variance, freedom in shares))


def holm(p_values: npt.ArrayLike) -> Floats:
    """Correct p-values for their number: those at most a level are wrong at that level in all.

    Args:
        p_values: Shape (n,), in [0, 1]; however they depend on each other.

    Returns:
        Shape (n,), in [0, 1], in the same order.

    Source: Holm, Scandinavian Journal of Statistics 6:65-70, 1979.

    >>> holm([0.01, 0.5, 0.02]).tolist()
    [0.03, 0.5, 0.04]
    """
    given = np.asarray(p_values, dtype=np.float64)
    order = np.argsort(given)
    corrected = np.empty(given.size)
    raised = given[order] * np.arange(given.size, 0, -1)
    corrected[order] = np.minimum(1, np.maximum.accumulate(raised))
    return corrected
