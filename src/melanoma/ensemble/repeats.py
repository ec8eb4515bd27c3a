"""Repeats of one recipe: how much of a score's variance is due to seeds, folds and patients."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from melanoma.ensemble.table import Scoreboard
from melanoma.run_folder import binding_settings
from melanoma.tables import FOLD

# Settings in which repeats of one recipe differ.
_SEED, _COLUMN = "seed", "data.fold_column"


@dataclass(frozen=True)
class Repeat:
    """A run as one of several repeats of its recipe.

    Attributes:
        recipe: All settings but the seed and the fold column.
        seed: Seed of the run.
        column: Fold column of the run.
        folds_file: The fold file; two columns of one file are repeats of a cross-validation.
    """

    recipe: str
    seed: int
    column: str
    folds_file: str


@dataclass(frozen=True)
class VarianceParts:
    """The variance of the AUC of one run of a recipe, in parts.

    Attributes:
        runs: Names of the repeats.
        seeds: Variance from seed to seed on the same folds; None where no folds have two seeds.
        folds: Variance from split to split beyond that of seeds; None where there is one split.
            Where `seeds` is None it is that of folds and seeds together.
        patients: Variance over samples of patients, with the networks as they are.
    """

    runs: list[str]
    seeds: float | None
    folds: float | None
    patients: float

    @property
    def repeatable(self) -> float:
        """The variance that an average over repeats makes smaller."""
        return (self.seeds or 0.0) + (self.folds or 0.0)

    @property
    def repeats_to_halve(self) -> int | None:
        """How many repeats halve the variance of one run; None where no number does."""
        room = (self.repeatable + self.patients) / 2 - self.patients
        return math.ceil(round(self.repeatable / room, 9)) if room > 0 else None

    def rows(self) -> list[tuple[str, float, float]]:
        """Each part by name: the standard deviation of the AUC, and the share of the variance."""
        together = "folds and seeds" if self.seeds is None else "folds"
        parts = [("seeds", self.seeds), (together, self.folds), ("patients", self.patients)]
        whole = self.repeatable + self.patients
        known = [(name, part) for name, part in [*parts, ("one run", whole)] if part is not None]
        return [(name, math.sqrt(part), part / whole if whole else 0.0) for name, part in known]

    def advice(self) -> str:
        """How many repeats help, in a sentence."""
        if not self.repeatable + self.patients:
            return "their scores do not vary."
        if self.repeats_to_halve is None:
            return "patients alone make more than half of the variance: no number of repeats halves it."
        return f"the mean of {self.repeats_to_halve} repeats has half the variance of one run."

    def as_dict(self) -> dict[str, Any]:
        """For JSON."""
        return asdict(self) | {"repeats_to_halve": self.repeats_to_halve}


def repeat_of(config: Mapping[str, Any], folds_file: str) -> Repeat:
    """A run as a repeat of its recipe.

    Args:
        config: As `RunFolder.read_config` gives it.
        folds_file: A name for the content of its fold file.
    """
    settings = binding_settings(dict(config))
    seed, column = settings.pop(_SEED, 0), settings.pop(_COLUMN, None) or FOLD
    return Repeat(repr(sorted(settings.items())), int(seed), str(column), folds_file)


def split_variances(
    names: Sequence[str], repeats: Sequence[Repeat | None], board: Scoreboard
) -> list[VarianceParts]:
    """Split the variance of each recipe that several runs repeat.

    Args:
        names: Of the runs.
        repeats: Of each run; None for one that is not known to repeat any.
        board: The scores of the runs, by their names.
    """
    by_recipe: dict[str, dict[str, Repeat]] = {}
    for name, repeat in zip(names, repeats):
        if repeat is not None:
            by_recipe.setdefault(repeat.recipe, {})[name] = repeat
    aucs = {row.name: row.pooled_auc for row in board.rows}
    return [
        split_variance(
            list(runs),
            [aucs[name] for name in runs],
            list(runs.values()),
            [board.bootstrap.variance(board.predictions[name]) for name in runs],
        )
        for runs in by_recipe.values()
        if len({(repeat.seed, repeat.column) for repeat in runs.values()}) > 1
    ]


def split_variance(
    names: Sequence[str],
    aucs: Sequence[float],
    repeats: Sequence[Repeat],
    patient_variances: Sequence[float],
) -> VarianceParts:
    """Split the variance of a recipe's AUC into parts.

    The parts of seeds and folds are those of a nested analysis of variance by its moments; a negative
    estimate is 0. Source: Searle, Casella & McCulloch, Variance Components, 1992, chapter 3.

    Args:
        names: Of the runs, at least two.
        aucs: Of each run.
        repeats: Of each run, all of one recipe.
        patient_variances: Of each run's AUC, over samples of patients.

    >>> repeats = [Repeat("a", seed, column, "f") for column in ("fold", "fold_1") for seed in (1, 2)]
    >>> parts = split_variance("abcd", [0.90, 0.92, 0.94, 0.96], repeats, [1e-4] * 4)
    >>> round(parts.seeds, 6), round(parts.folds, 6), parts.repeats_to_halve
    (0.0002, 0.0007, 3)
    """
    columns = [repeat.column for repeat in repeats]
    groups = [
        np.array([value for value, own in zip(aucs, columns) if own == column])
        for column in dict.fromkeys(columns)
    ]
    sizes = np.array([len(group) for group in groups])
    within = sum(float(((group - group.mean()) ** 2).sum()) for group in groups)
    freedom = int(sizes.sum() - len(sizes))
    seeds = within / freedom if freedom else None
    folds = None
    if len(groups) > 1:
        means = np.array([group.mean() for group in groups])
        overall = float(np.average(means, weights=sizes))
        between = float((sizes * (means - overall) ** 2).sum()) / (len(groups) - 1)
        typical = (sizes.sum() - (sizes**2).sum() / sizes.sum()) / (len(groups) - 1)
        folds = max(0.0, (between - (seeds or 0.0)) / float(typical))
    return VarianceParts(list(names), seeds, folds, float(np.mean(patient_variances)))
