"""The uncertainty of an AUC, by resampling patients."""

import hashlib
from typing import Any

import numpy as np
import numpy.typing as npt

from melanoma.metrics.checks import Codes, Flags, Floats, as_codes, as_two_classes
from melanoma.metrics.curves import auc
from melanoma.metrics.intervals import (
    Interval,
    PairedDifference,
    auc_interval,
    paired_difference,
)

Counts = npt.NDArray[np.uint8]

# Working memory of a block of draws; several fit into a processor's cache.
BLOCK_BYTES = 8 * 2**20


class PatientBootstrap:
    """Draws of patients with replacement, on which any predictions of their rows are scored.

    A patient's images resemble each other, so patients are drawn, each with all their images.
    A draw without a positive or without a negative has no AUC and is made again. The spread of
    the AUC over the draws gives its standard error, with as many degrees of freedom as the class
    in fewer patients has patients, less one; intervals and tests follow by Student's t. Intervals
    between percentiles of the draws are too narrow where few patients have a positive:
    benchmarks/metrics.py compares.

    The same predictions are scored once, whatever is asked of them.

    Args:
        targets: Shape (n,), 0 or 1, both present.
        patients: Shape (n,), whose image each row is: numbers or text.
        n_draws: At least 2.
        seed: Of the draws, which do not depend on the order of rows.

    Attributes:
        draws: Shape (n_draws, n_patients), uint8: how often each patient was drawn, in sorted order
            of patients. It takes n_draws x n_patients bytes.

    Raises:
        ValueError: If the shapes differ, a target is not 0 or 1, a patient is missing, only one
            class is present, or there are fewer than 2 draws.

    Sources: Field & Welsh, Journal of the Royal Statistical Society B 69:369-390, 2007 (drawing
    clusters); Hesterberg, The American Statistician 69:371-386, 2015 (percentiles and t).

    >>> bootstrap = PatientBootstrap([0, 0, 1, 0, 1, 1], list("aabbcc"), n_draws=3)
    >>> bootstrap.draws.sum(axis=1).tolist()
    [3, 3, 3]
    >>> bootstrap.aucs([0.1, 0.2, 0.3, 0.4, 0.5, 0.6]).shape
    (3,)
    """

    def __init__(
        self,
        targets: npt.ArrayLike,
        patients: npt.ArrayLike,
        n_draws: int = 1000,
        seed: int = 0,
    ) -> None:
        self._patients = as_codes(patients, targets, "patients")
        self._positive, _ = as_two_classes(targets, self._patients)
        if n_draws < 2:
            raise ValueError(f"n_draws {n_draws} must be at least 2")
        of_class = [np.unique(self._patients[self._positive == flag]) for flag in (True, False)]
        self._n_independent = max(2, min(map(len, of_class)))
        self.draws = _draw(of_class, int(self._patients.max()) + 1, n_draws, seed)
        self._scored: dict[bytes, Floats] = {}

    def auc(self, predictions: npt.ArrayLike) -> float:
        """The AUC of all rows.

        Args:
            predictions: Shape (n,), finite.

        Raises:
            ValueError: If the shape is another, or a prediction is not finite.
        """
        return auc(self._positive, predictions)

    def aucs(self, predictions: npt.ArrayLike) -> Floats:
        """The AUC of each draw, as if its rows were written out as often as drawn.

        Args:
            predictions: Shape (n,), finite.

        Returns:
            Shape (n_draws,), in [0, 1], read-only.

        Raises:
            ValueError: If the shape is another, or a prediction is not finite.
        """
        _, scores = as_two_classes(self._positive, predictions)
        key = hashlib.blake2b(scores.tobytes()).digest()
        if key not in self._scored:
            self._scored[key] = _draw_aucs(self._positive, scores, self._patients, self.draws)
            self._scored[key].flags.writeable = False
        return self._scored[key]

    def interval(self, predictions: npt.ArrayLike, level: float = 0.95) -> Interval:
        """The confidence interval of an AUC.

        All draws of a perfect AUC agree: its interval follows from the number of patients of the
        rarer class (`melanoma.metrics.intervals.auc_interval`).

        Args:
            predictions: Shape (n,), finite.
            level: Of confidence, in (0, 1).

        Raises:
            ValueError: As `aucs`, or if the level is outside (0, 1).
        """
        return self.interval_of(self.auc(predictions), self.aucs(predictions), level)

    def interval_of(self, estimate: float, of_draws: Floats, level: float = 0.95) -> Interval:
        """The confidence interval of a combination of AUCs.

        Args:
            estimate: The combination on all rows, in [0, 1].
            of_draws: Shape (n_draws,), the same combination of `aucs` in each draw.
            level: Of confidence, in (0, 1).

        Raises:
            ValueError: If the level is outside (0, 1).
        """
        error, freedom = self.standard_error(of_draws)
        return auc_interval(estimate, error, freedom, level)

    def difference(
        self, a: npt.ArrayLike, b: npt.ArrayLike, level: float = 0.95
    ) -> PairedDifference:
        """The AUC of `a` less that of `b`, both scored on the same draws.

        Args:
            a: Shape (n,), finite.
            b: Likewise.
            level: Of confidence, in (0, 1).

        Raises:
            ValueError: As `aucs`, or if the level is outside (0, 1).
        """
        return self.difference_of(self.auc(a) - self.auc(b), self.aucs(a) - self.aucs(b), level)

    def difference_of(
        self, estimate: float, of_draws: Floats, level: float = 0.95
    ) -> PairedDifference:
        """The test of a difference between combinations of AUCs.

        Args:
            estimate: The difference on all rows.
            of_draws: Shape (n_draws,), the same difference in each draw.
            level: Of confidence, in (0, 1).

        Raises:
            ValueError: If the level is outside (0, 1).
        """
        error, freedom = self.standard_error(of_draws)
        return paired_difference(estimate, error, freedom, level)

    def standard_error(self, of_draws: Floats) -> tuple[float, int]:
        """The standard error of what was computed in each draw, with its degrees of freedom.

        A bootstrap's variance of n is (n - 1) / n of the true one.

        Args:
            of_draws: Shape (n_draws,).
        """
        freedom = self._n_independent - 1
        return float(of_draws.std(ddof=1) * np.sqrt(self._n_independent / freedom)), freedom


def _draw(of_class: list[Codes], n_patients: int, n_draws: int, seed: int) -> Counts:
    random = np.random.default_rng(seed)
    # A byte is enough: for 256 copies of one patient the odds are below 1 in 10^500.
    draws = np.empty((n_draws, n_patients), dtype=np.uint8)
    block = max(1, BLOCK_BYTES // (8 * n_patients))
    todo = np.arange(n_draws)
    while todo.size:
        lacking = []
        for rows in np.array_split(todo, -(-todo.size // block)):
            draws[rows] = _resample(random, rows.size, n_patients)
            has_both = np.all([draws[rows][:, ids].any(axis=1) for ids in of_class], axis=0)
            lacking.append(rows[~has_both])
        todo = np.concatenate(lacking)
    return draws


def _resample(random: np.random.Generator, n_draws: int, n_patients: int) -> Codes:
    drawn = random.integers(n_patients, size=(n_draws, n_patients))
    drawn += n_patients * np.arange(n_draws)[:, None]
    return np.bincount(drawn.ravel(), minlength=drawn.size).reshape(drawn.shape)


def _draw_aucs(positive: Flags, scores: Floats, patients: Codes, draws: Counts) -> Floats:
    """The weighted Mann-Whitney statistic of every draw.

    Rows are counted once per patient and level, a level being a distinct score of a positive, of
    which there are few. What a draw weighs at each level is then one product of sparse counts with
    the draws.
    """
    levels, level_of = np.unique(scores[positive], return_inverse=True)
    shape = (len(levels) + 1, draws.shape[1])
    positives = _count_matrix(level_of, patients[positive], shape)
    # Half of a negative loses to the levels from its own score on, half to those above it: a level
    # equal to it wins half, and no tie needs a case of its own.
    loses_from = [np.searchsorted(levels, scores[~positive], side) for side in ("left", "right")]
    halves = _count_matrix(np.concatenate(loses_from), np.tile(patients[~positive], 2), shape)
    aucs = np.empty(len(draws))
    block = max(1, BLOCK_BYTES // (8 * sum(shape)))
    for start in range(0, len(draws), block):
        counts = draws[start : start + block].T.astype(np.float64, order="C")
        from_level_up = np.cumsum((positives @ counts)[::-1], axis=0)[::-1]
        losing = halves @ counts
        won = np.einsum("ld,ld->d", from_level_up, losing)
        aucs[start : start + block] = won / (from_level_up[0] * losing.sum(axis=0))
    return aucs


def _count_matrix(levels: Codes, patients: Codes, shape: tuple[int, int]) -> Any:
    from scipy.sparse import csr_array  # slow to import

    return csr_array((np.ones(len(levels)), (levels, patients)), shape=shape)
