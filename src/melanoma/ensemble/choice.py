"""Choosing a method honestly: simpler is better, unless something else is better beyond noise."""

from collections.abc import Mapping, Sequence

from melanoma.ensemble.table import Row
from melanoma.ensemble.variants import VariantBootstrap, Variants
from melanoma.metrics import PairedDifference


def choose_method(
    rows: Sequence[Row], predictions: Mapping[str, Variants], bootstrap: VariantBootstrap
) -> tuple[Row, str]:
    """Take the simplest method that is not worse than the best one beyond noise.

    The best is the one with the highest nested pooled AUC. The highest of several noisy scores is
    flattered by having been picked, and a method that fits less has less to go wrong on new images:
    so the best has to earn its place over each simpler one, by a paired 95 % interval above zero.

    Args:
        rows: Of the methods, the simplest first.
        predictions: Out of fold and nested, by the names of the rows, shape (1 or 3, n).
        bootstrap: Over the patients of these rows.

    Returns:
        The row, and why it was chosen, in one line.
    """
    best = max(rows, key=lambda row: row.pooled_auc)
    simpler = rows[: rows.index(best)]
    for row in simpler:
        ahead = bootstrap.difference(predictions[best.name], predictions[row.name])
        if ahead.low <= 0:
            return row, (
                f"{row.name}, the simplest method that {best.name}, the highest, does not beat "
                f"beyond noise ({as_text(ahead)})."
            )
    beaten = ", ".join(row.name for row in simpler)
    also = f"it beats {beaten} beyond noise" if beaten else "it is the simplest"
    return best, f"{best.name}, whose AUC is the highest, and {also}."


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
