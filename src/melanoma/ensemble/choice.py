"""Choosing a method of blending, and how much the choice flatters."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from melanoma.ensemble.methods import Codes
from melanoma.ensemble.table import Row
from melanoma.ensemble.variants import VariantBootstrap, Variants, corrected
from melanoma.metrics import PairedDifference, auc, rank_within
from melanoma.metrics.checks import Floats


@dataclass(frozen=True)
class Choice:
    """A method that was chosen among several.

    Attributes:
        row: Its row.
        ahead: Its AUC of fold ranks less that of the simplest method.
        optimism: How much its AUC is expected to be too high because the highest was chosen.
        why: The reason, in one line.
    """

    row: Row
    ahead: PairedDifference
    optimism: float
    why: str


def choose_method(
    rows: Sequence[Row],
    predictions: Mapping[str, Variants],
    targets: Codes,
    folds: Codes,
    bootstrap: VariantBootstrap,
) -> Choice:
    """Take the method with the highest nested AUC of fold ranks; of equal ones the simplest.

    Ranks within folds are what a test set asks for: it is predicted by the networks of all folds, so
    that calibration among folds, which the pooled AUC rewards, is worth nothing there.
    benchmarks/trust.py compares rules on simulated runs.

    The optimism is that of a choice repeated without each fold in turn: the mean AUC, over folds, of
    the method that was chosen with them less that of the method chosen without them.

    Args:
        rows: Rows of the methods, the simplest first; at least two.
        predictions: Out of fold and nested, by the names of the rows, shape (1 or 3, n).
        targets: Shape (n,), 0 or 1, both in every fold.
        folds: Shape (n,).
        bootstrap: Draws of the patients of these rows.
    """
    ranked = {row.name: _rank(predictions[row.name], folds) for row in rows}
    names = [row.name for row in rows]
    numbers = np.unique(folds)
    chosen = int(np.argmax([row.rank_auc for row in rows]))  # the first of equal ones
    without = [
        int(np.argmax([_auc(targets, ranked[name], folds != fold) for name in names]))
        for fold in numbers
    ]
    optimism = float(
        np.mean(
            [
                _auc(targets, ranked[names[chosen]], folds == fold)
                - _auc(targets, ranked[names[other]], folds == fold)
                for fold, other in zip(numbers, without)
            ]
        )
    )
    ahead = bootstrap.difference(ranked[names[chosen]], ranked[names[0]])
    optimism = max(0.0, optimism)
    return Choice(rows[chosen], ahead, optimism, _explain(names, chosen, ahead, optimism))


def caution(
    chosen: Row,
    runs: Sequence[Row],
    predictions: Mapping[str, Variants],
    bootstrap: VariantBootstrap,
) -> list[str]:
    """A line where a single run scores higher than the blend that was chosen, else none."""
    best = max(runs, key=lambda row: row.pooled_auc)
    if best.pooled_auc <= chosen.pooled_auc:
        return []
    ahead = bootstrap.difference(predictions[best.name], predictions[chosen.name])
    return [
        f"caution: {best.name} alone scores higher than {chosen.name} ({as_text(ahead)}), though the "
        "highest of several is flattered. See what each run adds."
    ]


def as_text(paired: PairedDifference) -> str:
    """A paired difference, for a sentence.

    >>> as_text(PairedDifference(0.0123, -0.001, 0.02, 0.1))
    '+0.0123, 95 % interval -0.0010 to +0.0200'
    """
    return f"{paired.difference:+.4f}, 95 % interval {paired.low:+.4f} to {paired.high:+.4f}"


def _rank(variants: Variants, folds: Codes) -> Variants:
    return np.array([rank_within(folds, variant) for variant in variants])


def _auc(targets: Codes, variants: Variants, rows: Codes) -> float:
    def score(variant: Floats) -> float:
        return auc(targets[rows], variant[rows])

    return corrected(score, variants)


def _explain(names: Sequence[str], chosen: int, ahead: PairedDifference, optimism: float) -> str:
    best, simplest = names[chosen], names[0]
    flattery = f"Choosing the highest flatters its score by about {optimism:.4f}."
    if not chosen:
        return f"{best}, the simplest, has the highest AUC of fold ranks. {flattery}"
    beyond = "beyond noise" if ahead.low > 0 else "within noise"
    return (
        f"{best} has the highest AUC of fold ranks; its lead over {simplest} is {beyond} "
        f"({as_text(ahead)}). {flattery}"
    )
