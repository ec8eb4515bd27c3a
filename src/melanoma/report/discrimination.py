"""ROC and precision-recall curves, per fold and pooled."""

from collections.abc import Callable
from typing import Any

import numpy as np

from melanoma.ensemble.methods import Codes
from melanoma.ensemble.table import four_digits
from melanoma.metrics import average_precision
from melanoma.metrics.checks import Floats
from melanoma.report.curves import Curve, precision_recall, roc
from melanoma.report.drawing import colour, figure, line, series, shares_axis
from melanoma.report.parts import Chart, Section, Table
from melanoma.report.reading import Material
from melanoma.report.words import percent

_POOLED = {"width": 3}


def discrimination(material: Material) -> Section:
    """The section of ROC and precision-recall curves."""
    return Section(
        "curves",
        "Telling melanomas from others",
        "Every threshold at once. The pooled curve ranks the images of all folds in one list, as a "
        "test set is ranked; the folds' own curves show how far they differ.",
        charts=[_roc(material), _precision_recall(material)],
        tables=[_table(material)],
    )


def _roc(material: Material) -> Chart:
    row = material.row
    chance = _chance(0.0, 1.0)
    traces = [chance, *_traces(material, roc, row.fold_aucs, row.pooled_auc, "AUC")]
    x, y = shares_axis("1 - specificity"), shares_axis("sensitivity")
    return Chart(
        "roc",
        "ROC",
        f"Sensitivity over false alarms. The pooled curve has an area of {row.pooled_auc:.4f}; those "
        f"of the folds lie between {min(row.fold_aucs):.4f} and {max(row.fold_aucs):.4f}.",
        figure(traces, x, y, 460),
    )


def _precision_recall(material: Material) -> Chart:
    share = float(material.predictions.targets.mean())
    chance = _chance(share, share)
    row = material.row
    traces = [
        chance,
        *_traces(
            material, precision_recall, _fold_precisions(material), row.average_precision, "AP"
        ),
    ]
    for trace in traces[1:]:
        trace["line"]["shape"] = "hv"
    x, y = shares_axis("recall (sensitivity)"), shares_axis("precision")
    return Chart(
        "precision-recall",
        "Precision and recall",
        f"Which share of alarms is right, over the share of melanomas found. The average precision is "
        f"{row.average_precision:.4f}; guessing has {share:.4f}, the share of melanomas.",
        figure(traces, x, y, 460),
    )


def _chance(left: float, right: float) -> dict[str, Any]:
    """What guessing comes to, at the left end and at the right one."""
    curve = Curve(np.array([0.0, 1.0]), np.array([left, right]))
    style = {"color": colour("muted"), "dash": "dot", "width": 1}
    return {**line(curve, "chance", colour("muted")), "hoverinfo": "skip", "line": style}


def _traces(
    material: Material,
    draw: Callable[[Codes, Floats], Curve],
    of_folds: list[float],
    pooled: float,
    name: str,
) -> list[dict[str, object]]:
    targets, scores = material.predictions.targets, material.scores
    traces = []
    for place, (fold, value) in enumerate(zip(material.folds, of_folds)):
        held_out = material.predictions.folds == fold
        title = f"fold {fold}, {name} {value:.4f}"
        curve = draw(targets[held_out], scores[held_out])
        traces.append(line(curve, title, series(place), opacity=0.75))
    whole = draw(targets, scores)
    return [*traces, line(whole, f"pooled, {name} {pooled:.4f}", colour("ink"), line=_POOLED)]


def _fold_precisions(material: Material) -> list[float]:
    given = material.predictions
    held_out = [given.folds == fold for fold in material.folds]
    return [average_precision(given.targets[rows], material.scores[rows]) for rows in held_out]


def _table(material: Material) -> Table:
    given, row = material.predictions, material.row
    rows = []
    for fold, area, precision in zip(material.folds, row.fold_aucs, _fold_precisions(material)):
        share = float(given.targets[given.folds == fold].mean())
        cells = [f"fold {fold}", four_digits(area), four_digits(precision), percent(share, 2)]
        rows.append(cells)
    pooled = [row.pooled_auc, row.average_precision]
    whole = percent(float(given.targets.mean()), 2)
    rows.append(["pooled", *map(four_digits, pooled), whole])
    head = ["", "AUC", "average precision", "melanomas"]
    return Table("Areas under the curves", head, rows)
