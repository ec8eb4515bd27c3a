"""Exchanging groups between folds while that makes them more alike.

Local search by pairwise exchange: Kernighan & Lin, Bell System Technical Journal 49:291-307, 1970.
All sums that decide are of whole numbers, which float64 adds exactly in any order: the folds do
not depend on the processor, the number of threads or the linear algebra library.
"""

from dataclasses import dataclass
from itertools import combinations
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

Codes = npt.NDArray[np.int64]
Numbers = npt.NDArray[np.float64]

N_STRATA = 8
# Groups of one fold and stratum looked at together; all of them in a table of SIIM-ISIC's size.
_WINDOW = 64
# Pairs of windows looked at in a phase: never a time limit, which would make folds irreproducible.
_MAX_STEPS = 20_000

# The columns of the counts: the first factor is the target, the strata are last.
IMAGES, POSITIVES = 0, 2
STRATA = slice(-N_STRATA, None)
CLASSES = slice(-N_STRATA - 2, -N_STRATA)  # whether a group has a negative, a positive image


class _Weights(NamedTuple):
    """What a squared deviation of each column costs, shape (n_columns,), in the order of use."""

    shares: Numbers  # all is a compromise
    classes: Numbers  # only the positives, and who has them, matter
    shares_then: Numbers  # a compromise that leaves the positives alone
    shares_last: Numbers  # and the number of images as well
    firsts: Numbers  # images, positives and strata, and no share


@dataclass
class Search:
    """Folds of groups on their way to balance."""

    counts: Numbers  # (n_groups, n_columns), whole numbers
    folds: Codes  # (n_groups,)
    n_folds: int
    rng: np.random.Generator

    def give_each_fold_both_classes(self) -> None:
        """Exchange groups until each fold has both classes; no exchange later takes one away.

        It can always be done where as many groups as folds have each class: a fold that lacks it
        takes a group from a fold with two such groups, one that has nothing else if there is
        one. If there is none, the group that the giver keeps has both classes.
        """
        sizes, has_class = self.counts[:, IMAGES], self.counts[:, CLASSES] > 0
        for fold, target in np.ndindex(self.n_folds, 2):
            own = np.flatnonzero(self.folds == fold)
            if has_class[own, target].any():
                continue
            n_having = np.bincount(self.folds[has_class[:, target]], minlength=self.n_folds)
            spare = has_class[:, target] & (n_having[self.folds] > 1)
            pure = spare & ~has_class[:, 1 - target]
            candidates = np.flatnonzero(pure if pure.any() else spare)
            taken = candidates[np.abs(sizes[candidates] - np.median(sizes[own])).argmin()]
            given = own[np.abs(sizes[own] - sizes[taken]).argmin()]
            giver, self.folds[taken] = self.folds[taken], fold
            if len(own) > 1:  # an only group is the fold's only one of the other class
                self.folds[given] = giver

    def balance(self, strata: Codes) -> None:
        """Exchange groups for the sake of one thing after another.

        The shares find their place freely first, which matters where a group is a tenth of a
        fold, and are mended each time that something more important has been settled.
        """
        weights = _weigh(self.counts)
        # Exchanges within a stratum leave the number of groups of each size alone.
        for phase in (weights.shares, weights.classes, weights.shares_then, weights.shares_last):
            self.improve(phase, strata)
        if np.ptp(self.sums()[:, [IMAGES, POSITIVES]], axis=0).max() > 1:
            # Few groups, or a giant among them: images and positives come before strata.
            self.improve(weights.firsts, np.zeros_like(strata))
            self.improve(weights.shares_last, strata)

    def sums(self) -> Numbers:
        """What each fold holds, shape (n_folds, n_columns)."""
        return np.stack([self.counts[self.folds == k].sum(axis=0) for k in range(self.n_folds)])

    def improve(self, weights: Numbers, cells: Codes) -> None:
        """Exchange groups of the same cell between folds while that lowers the cost.

        The cost is the sum of squared deviations of each column in each fold, weighted. The end
        is when no pair of folds has anything to exchange, or a fixed number of steps.
        """
        folds, sums = range(self.n_folds), self.sums()
        all_cells = range(int(cells.max()) + 1)
        members = {
            (fold, cell): self.rng.permutation(
                np.flatnonzero((self.folds == fold) & (cells == cell))
            )
            for fold in folds
            for cell in all_cells
        }
        pairs = [(a, b, cell) for a, b in combinations(folds, 2) for cell in all_cells]
        steps, improved = 0, True
        while improved and steps < _MAX_STEPS:
            improved = False
            for a, b, cell in self.rng.permutation(pairs).tolist():
                here, there = self._window(members[a, cell]), self._window(members[b, cell])
                improved |= _exchange(self.counts, weights, (here, there), (sums[a], sums[b]))
            steps += len(pairs)
        for (fold, _), groups in members.items():
            self.folds[groups] = fold

    def _window(self, members: Codes) -> Codes:
        # A view: what is written to it is written to the members.
        start = int(self.rng.integers(max(len(members) - _WINDOW, 0) + 1))
        return members[start : start + _WINDOW]


def _exchange(
    counts: Numbers,
    weights: Numbers,
    groups: tuple[Codes, Codes],
    sums: tuple[Numbers, Numbers],
) -> bool:
    """Exchange the best pair of groups of two folds, again and again while that lowers the cost.

    With x and y the counts of the two groups, w the weights and g the difference between the
    folds' sums, an exchange changes the cost by 2 * sum(w * (x - y) * (x - y - g)).

    Args:
        counts: Shape (n_groups, n_columns), of all groups.
        weights: Shape (n_columns,).
        groups: Some groups of the one fold and of the other, changed in place.
        sums: The sums of each of the two folds, shape (n_columns,), changed in place.
    """
    (here, there), (sums_here, sums_there) = groups, sums
    for n_exchanged in range(min(len(here), len(there))):
        x, y = counts[here], counts[there]
        pull = weights * (sums_here - sums_there)
        change = -2 * (x @ (y * weights).T)
        change += (x * x @ weights - x @ pull)[:, None] + (y * y @ weights + y @ pull)
        if min(sums_here[CLASSES].min(), sums_there[CLASSES].min()) < 2:
            change[_takes_a_class(x, y, sums_here, sums_there)] = np.inf
        i, j = np.unravel_index(change.argmin(), change.shape)
        if change[i, j] >= 0:
            return n_exchanged > 0
        sums_here += y[j] - x[i]
        sums_there += x[i] - y[j]
        here[i], there[j] = there[j], here[i]
    return min(len(here), len(there)) > 0


def _takes_a_class(
    x: Numbers, y: Numbers, sums_here: Numbers, sums_there: Numbers
) -> npt.NDArray[np.bool_]:
    """Which exchanges, of shape (n_here, n_there), would leave a fold without one class."""
    gain = y[None, :, CLASSES] - x[:, None, CLASSES]
    lost = (sums_here[CLASSES] + gain < 1) | (sums_there[CLASSES] - gain < 1)
    return np.asarray(lost.any(axis=2))


def _weigh(counts: Numbers) -> _Weights:
    totals = np.maximum(counts.sum(axis=0), 1)
    largest = np.maximum(counts.max(axis=0), 1)
    # As heavy as can be while a weighted product of two sums is a whole number in float64.
    heavy = 2.0 ** np.clip(np.floor(50 - np.log2(totals * largest)), 6, 30)
    images = min(heavy[IMAGES], 2.0**18)
    # One over the total, as in Pearson's chi-squared: a deviation costs more the rarer the value is,
    # but always less than one of the number of images.
    shares = np.minimum(np.round(totals[IMAGES] / totals), images / 64)
    classes = np.zeros_like(shares)
    classes[IMAGES] = 1
    classes[POSITIVES] = classes[CLASSES] = min(heavy[POSITIVES], 2.0**20)
    shares_then = shares.copy()
    shares_then[POSITIVES] = heavy[POSITIVES]
    shares_then[CLASSES] = heavy[POSITIVES] / 16
    shares_last = shares_then.copy()
    shares_last[IMAGES] = images
    firsts = np.zeros_like(shares)
    firsts[[IMAGES, POSITIVES]] = images
    firsts[CLASSES] = firsts[STRATA] = 1
    return _Weights(shares, classes, shares_then, shares_last, firsts)
