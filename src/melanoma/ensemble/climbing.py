"""Non-negative weights by hill climbing: which runs to blend, and how often each counts."""

from typing import Any

import numpy as np
import numpy.typing as npt

from melanoma.metrics.checks import Floats

Whole = npt.NDArray[np.integer[Any]]

N_STEPS = 50
_PATIENCE = 15


def climb(
    ranks: Floats, targets: npt.ArrayLike, folds: npt.ArrayLike, n_steps: int = N_STEPS
) -> Floats:
    """Weights that maximise the area under the ROC curve within folds, by forward selection.

    Starting from nothing, the run is added, with replacement, that makes the sum of ranks score
    highest; the best sum on the way counts, and of equals the earliest. Runs that are equally good
    are added together, and scores are compared as whole numbers of rightly ranked pairs: neither the
    order of runs nor that of rows changes the result.

    Args:
        ranks: Shape (n_runs, n_rows), as `rank_within` the folds gives them.
        targets: Shape (n_rows,), 0 or 1.
        folds: Shape (n_rows,). Rows of different folds are not compared: their ranks were given by
            different networks.
        n_steps: The most additions; it ends sooner where fifteen in a row bring nothing.

    Returns:
        Shape (n_runs,), from 0, with sum 1.

    Source: Caruana, Niculescu-Mizil, Crew & Ksikes, ICML 2004.

    >>> good, bad = [0.125, 0.375, 0.625, 0.875], [0.875, 0.125, 0.375, 0.625]
    >>> climb(np.array([bad, good]), [0, 0, 1, 1], [0, 0, 0, 0]).tolist()
    [0.0, 1.0]
    """
    positive = np.asarray(targets).astype(bool)
    whole, sums = _as_whole_numbers(ranks, np.asarray(folds), n_steps)
    # Side by side in memory, as each is read n_runs times a step.
    (runs_1, sums_1), (runs_0, sums_0) = (
        (np.ascontiguousarray(whole[:, side]), sums[side]) for side in (positive, ~positive)
    )
    chosen = np.zeros(len(ranks), dtype=np.int64)
    best, best_score, best_step = chosen, -1, 0
    for step in range(n_steps):
        scores = [_won(sums_1 + run_1, sums_0 + run_0) for run_1, run_0 in zip(runs_1, runs_0)]
        added = np.flatnonzero(np.array(scores) == max(scores))
        chosen = chosen + np.isin(np.arange(len(ranks)), added)
        sums_1, sums_0 = _add(sums_1, runs_1[added]), _add(sums_0, runs_0[added])
        score = _won(sums_1, sums_0)
        if score > best_score:
            best, best_score, best_step = chosen, score, step
        if step - best_step >= _PATIENCE:
            break
    weights: Floats = best / best.sum()
    return weights


def _as_whole_numbers(
    ranks: Floats, folds: npt.NDArray[np.generic], n_steps: int
) -> tuple[Whole, Whole]:
    """The ranks as whole numbers, whose sums are exact, and what the sums of each row start from."""
    _, fold, sizes = np.unique(folds, return_inverse=True, return_counts=True)
    # Sums of a higher fold lie wholly above those of a lower: pairs across folds are constant.
    widest = 2 * int(sizes.max()) * len(ranks) * (n_steps + 1)
    # Half as wide, they are sorted twice as fast.
    kind = np.int32 if widest * len(sizes) < np.iinfo(np.int32).max else np.int64
    return np.rint(ranks * 2 * sizes[fold]).astype(kind), (fold * widest).astype(kind)


def _add(sums: Whole, runs: Whole) -> Whole:
    total: Whole = sums + runs.sum(axis=0, dtype=sums.dtype)
    return total


def _won(positives: Whole, negatives: Whole) -> int:
    """Twice the number of pairs in which the positive is the higher, ties counted once."""
    negatives, positives = np.sort(negatives), np.sort(positives)
    below = np.searchsorted(negatives, positives, side="left").sum()
    return int(below + np.searchsorted(negatives, positives, side="right").sum())
