"""How runs and blends compare: paired differences, and what each run adds."""

from collections.abc import Mapping, Sequence
from itertools import combinations

import numpy as np
import pandas as pd

from melanoma.ensemble.methods import Codes, Method
from melanoma.ensemble.nested import nested_variants
from melanoma.ensemble.variants import VariantBootstrap, Variants, corrected
from melanoma.metrics.delong import Placements, compare_placements, placements


def compare_all(
    predictions: Mapping[str, Variants], targets: Codes, bootstrap: VariantBootstrap
) -> pd.DataFrame:
    """The paired difference in AUC between any two predictions of the same rows.

    Args:
        predictions: By name, each of shape (1 or 3, n).
        targets: Shape (n,), 0 or 1.
        bootstrap: Over the patients of these rows.

    Returns:
        A row per pair: first, second, difference (the AUC of the first minus that of the second),
        low and high (its 95 % interval over patients), p_bootstrap, and p_delong, which takes
        images to be independent and is too small where patients have many.
    """
    placed = {name: _place(targets, variants) for name, variants in predictions.items()}
    rows = []
    for first, second in combinations(predictions, 2):
        paired = bootstrap.difference(predictions[first], predictions[second])
        rows.append(
            {
                "first": first,
                "second": second,
                "difference": paired.difference,
                "low": paired.low,
                "high": paired.high,
                "p_bootstrap": paired.p_value,
                "p_delong": compare_placements(placed[first], placed[second]).p_value,
            }
        )
    return pd.DataFrame(rows)


def _place(targets: Codes, variants: Variants) -> Placements:
    """DeLong's placements, whose means are corrected as AUCs are."""
    placed = [placements(targets, variant) for variant in variants]
    of_positives, of_negatives = (np.array(side) for side in zip(*placed))
    return corrected(np.asarray, of_positives), corrected(np.asarray, of_negatives)


def leave_one_out(
    method: Method,
    names: Sequence[str],
    features: Variants,
    targets: Codes,
    folds: Codes,
    bootstrap: VariantBootstrap,
) -> pd.DataFrame:
    """What each run adds: the blend's AUC without it, everything fitted anew and nested.

    Args:
        method: The method of the blend.
        names: Of the runs.
        features: Shape (1 or 3, n_runs, n), on the method's scale; at least two runs.
        targets: Shape (n,), 0 or 1.
        folds: Shape (n,).
        bootstrap: Over the patients of these rows.

    Returns:
        A row per run: run, auc_without, change (what leaving it out does to the pooled AUC), low
        and high (the 95 % interval of the change).
    """
    together = nested_variants(method, features, targets, folds)
    rows = []
    for left_out, name in enumerate(names):
        others = np.delete(features, left_out, axis=1)
        rest = nested_variants(method.without(left_out), others, targets, folds)
        change = bootstrap.difference(rest, together)
        rows.append(
            {
                "run": name,
                "auc_without": bootstrap.auc(rest),
                "change": change.difference,
                "low": change.low,
                "high": change.high,
            }
        )
    return pd.DataFrame(rows)
