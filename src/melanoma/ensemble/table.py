"""The table of scores: a row per run and method."""

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np

from melanoma.ensemble.methods import Codes
from melanoma.ensemble.variants import VariantBootstrap, Variants, corrected_share
from melanoma.metrics import (
    auc,
    average_precision,
    brier_score,
    calibrated_error,
    calibration_error,
    rank_within,
    sensitivity_at_specificity,
)
from melanoma.metrics.checks import Floats

RUN = "run"
_FOLDS_PER_LINE = 10
_WIDEST_NAME = 28

LEGEND = (
    "AUC: pooled, all folds ranked in one list; interval: 95 %, bootstrap over patients; "
    "in-sample: fitted and scored\non the same rows, flattering; fold ranks: pooled after ranking "
    "within each fold; AP: average precision; sens.: at 90 %\nspecificity; Brier and calibration "
    "error: lower is better, and only probabilities have them"
)


@dataclass(frozen=True)
class Row:
    """What one run, or one method's blend of all runs, is worth out of fold.

    Attributes:
        name: Of the run or method.
        method: `run`, or the method's name.
        nested: Whether something was fitted, and the scores are of folds it was not fitted on.
        fold_aucs: Of each fold's rows alone, by the order of folds.
        pooled_auc: Of all rows, ranked in one list.
        rank_auc: Of all rows after ranking them within their folds: what it would be if the folds'
            networks were calibrated alike.
        low: Lower end of the pooled AUC's 95 % interval.
        high: Its upper end.
        in_sample_auc: Pooled, fitted and scored on the same rows, which flatters; None where
            nothing is fitted.
        average_precision: In (0, 1].
        sensitivity: At a specificity of at least 90 %.
        brier_score: None where the predictions are ranks, not probabilities.
        calibration_error: Likewise.
        calibrated_error: What the calibration error of a perfectly calibrated model with the same
            predictions would be, the mean over samples of targets; likewise.
        calibrated_error_high: The 95th percentile over these samples; likewise.
        own_epoch_auc: Pooled, with each fold at the epoch that it has chosen by these rows, which
            flatters; None where no epoch is chosen. All other scores are corrected for it.
        is_flattered: Whether epochs were chosen by these rows, and no score is corrected for it.
    """

    name: str
    method: str
    nested: bool
    fold_aucs: list[float]
    pooled_auc: float
    rank_auc: float
    low: float
    high: float
    in_sample_auc: float | None
    average_precision: float
    sensitivity: float
    brier_score: float | None
    calibration_error: float | None
    calibrated_error: float | None = None
    calibrated_error_high: float | None = None
    own_epoch_auc: float | None = None
    is_flattered: bool = False

    @property
    def mean_auc(self) -> float:
        """The mean over folds, which says nothing about how they compare with each other."""
        return float(np.mean(self.fold_aucs))

    @property
    def title(self) -> str:
        """The name as the tables show it."""
        suffix = ", nested" * self.nested + ", flattering" * self.is_flattered
        return short_name(self.name, _WIDEST_NAME - len(suffix)) + suffix

    def as_dict(self) -> dict[str, Any]:
        """For JSON."""
        return asdict(self) | {"mean_auc": self.mean_auc}


def score_row(
    predictions: Variants,
    targets: Codes,
    folds: Codes,
    bootstrap: VariantBootstrap,
    name: str,
    method: str = RUN,
    nested: bool = False,
    in_sample: Variants | None = None,
    probabilities: bool = True,
    is_flattered: bool = False,
) -> Row:
    """Score out-of-fold predictions.

    Args:
        predictions: Shape (1 or 3, n), in [0, 1]; see `melanoma.ensemble.variants`.
        targets: Shape (n,), 0 or 1, both in every fold.
        folds: Shape (n,).
        bootstrap: Over the patients of these rows.
        name: Of the row.
        method: `run`, or the method's name.
        nested: Whether the predictions come from nested fits.
        in_sample: What the fit to all rows predicts for them.
        probabilities: Whether the predictions are any.
        is_flattered: See `Row`.
    """
    interval = bootstrap.interval(predictions)

    def score(function: Callable[[Codes, Floats], float]) -> float:
        return corrected_share(lambda variant: function(targets, variant), predictions)

    def auc_of(fold: int) -> float:
        rows = folds == fold
        return corrected_share(lambda variant: auc(targets[rows], variant[rows]), predictions)

    calibrated = calibrated_error(predictions[-1]) if probabilities else None
    return Row(
        name=name,
        method=method,
        nested=nested,
        fold_aucs=[auc_of(fold) for fold in np.unique(folds)],
        pooled_auc=bootstrap.auc(predictions),
        rank_auc=score(lambda _, variant: auc(targets, rank_within(folds, variant))),
        low=interval.low,
        high=interval.high,
        in_sample_auc=None if in_sample is None else bootstrap.auc(in_sample),
        average_precision=score(average_precision),
        sensitivity=score(sensitivity_at_specificity),
        brier_score=score(brier_score) if probabilities else None,
        calibration_error=score(calibration_error) if probabilities else None,
        own_epoch_auc=auc(targets, predictions[0]) if len(predictions) > 1 else None,
        is_flattered=is_flattered,
        calibrated_error=None if calibrated is None else calibrated.mean,
        calibrated_error_high=None if calibrated is None else calibrated.high,
    )


@dataclass
class Scoreboard:
    """The predictions scored so far, and their rows.

    Attributes:
        targets: Shape (n,), 0 or 1, both in every fold.
        folds: Shape (n,).
        bootstrap: Over the patients of these rows.
        rows: In the order they were added.
        predictions: By the names of the rows, shape (1 or 3, n).
    """

    targets: Codes
    folds: Codes
    bootstrap: VariantBootstrap
    rows: list[Row] = field(default_factory=list)
    predictions: dict[str, Variants] = field(default_factory=dict)

    def add(self, predictions: Variants, name: str, folds: Codes | None = None, **kind: Any) -> Row:
        """Score predictions, by default on the board's folds; `kind` as in `score_row`."""
        own = self.folds if folds is None else folds
        row = score_row(predictions, self.targets, own, self.bootstrap, name, **kind)
        self.rows.append(row)
        self.predictions[name] = predictions
        return row


def table_as_text(rows: Sequence[Row], folds: Sequence[int]) -> str:
    """The scores, and below them the AUC of each fold, for a terminal of 120 columns."""
    head = ["", "AUC", "95 % interval", "in-sample", "fold ranks", "fold mean"]
    head += ["AP", "sens.", "Brier", "cal. err."]
    lines = [head, *(_score_cells(row) for row in rows)]
    parts = [align_columns(lines), LEGEND]
    for start in range(0, len(folds), _FOLDS_PER_LINE):
        shown = slice(start, start + _FOLDS_PER_LINE)
        lines = [["AUC of", *(f"fold {fold}" for fold in folds[shown])]]
        for row in rows:
            # A run on another column of the fold file may have fewer folds.
            aucs = [*row.fold_aucs, *([None] * len(folds))][: len(folds)]
            lines.append([row.title, *map(four_digits, aucs[shown])])
        parts.append(align_columns(lines))
    return "\n\n".join(parts)


def short_name(name: str, room: int = _WIDEST_NAME) -> str:
    """The end of a name, as much as the tables have room for."""
    return name if len(name) <= room else "…" + name[1 - room :]


def align_columns(lines: Sequence[Sequence[str]], gap: str = "  ") -> str:
    """Pad cells to columns: the first to the left, the others to the right.

    >>> print(align_columns([["", "AUC"], ["a", "0.9"]]))
       AUC
    a  0.9
    """
    widths = [max(map(len, column)) for column in zip(*lines)]
    return "\n".join(
        gap.join([line[0].ljust(widths[0]), *map(str.rjust, line[1:], widths[1:])]).rstrip()
        for line in lines
    )


def four_digits(value: float | None) -> str:
    """A score as the tables show it."""
    return "-" if value is None else f"{value:.4f}"


def p_as_text(p_value: float, number: int = 1, things: str = "") -> str:
    """A p-value, and what it was corrected for.

    >>> p_as_text(0.0041), p_as_text(0.0002, 5, "folds")
    ('p = 0.004', 'p < 0.001 after correction for 5 folds')
    """
    said = "p < 0.001" if p_value < 0.001 else f"p = {p_value:.3f}"
    return said + f" after correction for {number} {things}" * (number > 1)


def _score_cells(row: Row) -> list[str]:
    scores = [row.in_sample_auc, row.rank_auc, row.mean_auc, row.average_precision]
    scores += [row.sensitivity, row.brier_score, row.calibration_error]
    interval = f"{row.low:.4f}-{row.high:.4f}"
    return [row.title, four_digits(row.pooled_auc), interval, *map(four_digits, scores)]
