"""Which folds and groups are weaker than the others, by more than chance.

Of 100 reports on folds, groups and test images that do not differ, at most 5 may raise an alarm: 2 for
the folds, 2 for the groups of all factors, and 1 for the shifts of all runs
(`melanoma.ensemble.checks.SHIFT_LEVEL`). Holm's method shares each of them among what is looked at.
benchmarks/trust.py counts the false alarms, and what is found.
"""

from dataclasses import replace

import pandas as pd

from melanoma.ensemble.methods import Codes
from melanoma.metrics import PartTest, compare_parts, holm
from melanoma.metrics.checks import Floats

FOLD_LEVEL = 0.02
GROUP_LEVEL = 0.02
# Of fewer melanomas, or others, an AUC would say more about these few than about the group.
FEWEST = 5


def compare_folds(targets: Codes, scores: Floats, folds: Codes, patients: Codes) -> list[PartTest]:
    """Test whether each fold is weaker than the others; p-values are corrected for their number.

    Args:
        targets: Shape (n,), 0 or 1.
        scores: Shape (n,), finite: out of fold.
        folds: Shape (n,).
        patients: Shape (n,).

    Returns:
        As `compare_parts`: folds with fewer than `FEWEST` melanomas or others are left out.
    """
    return _correct(compare_parts(targets, scores, folds, patients, FEWEST))


def compare_groups(
    factors: pd.DataFrame, targets: Codes, scores: Floats, patients: Codes
) -> dict[tuple[str, str], PartTest]:
    """Test whether each group is weaker than the others of its factor.

    Args:
        factors: A row per image, a column per factor, values as text.
        targets: Shape (n,), 0 or 1.
        scores: Shape (n,), finite.
        patients: Shape (n,).

    Returns:
        By factor and value, without groups that are too small; p-values are corrected for the number
        of groups of all factors.
    """
    tests = {}
    for factor in factors.columns:
        # Numbers are compared much faster than names.
        codes, values = pd.factorize(factors[factor], sort=True)
        for test in compare_parts(targets, scores, codes, patients, FEWEST):
            tests[str(factor), str(values[test.part])] = test
    return dict(zip(tests, _correct(list(tests.values()))))


def _correct(tests: list[PartTest]) -> list[PartTest]:
    corrected = holm([test.p_value for test in tests]).tolist()
    return [replace(test, p_value=p_value) for test, p_value in zip(tests, corrected)]
