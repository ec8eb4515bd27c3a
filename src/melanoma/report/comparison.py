"""Several runs: the ensembler's table of scores, its weights, and how alike the runs are."""

import math

from melanoma.ensemble.repeats import VarianceParts
from melanoma.ensemble.table import Row, four_digits
from melanoma.report.drawing import figure, label
from melanoma.report.parts import Chart, Section, Table
from melanoma.report.reading import Material
from melanoma.report.words import interval, percent


def scores_table(material: Material) -> Table:
    """The ensembler's table: a row per run and method."""
    rows = [_cells(row, row is material.row) for row in material.blended.rows]
    head = ["", "AUC", "95 % interval", "in-sample", "fold ranks", "fold mean"]
    head += ["AP", "sens.", "Brier", "cal. err.", "if calibrated"]
    return Table("What each is worth out of fold", head, rows)


def comparison(material: Material) -> Section:
    """The section of runs and blends."""
    blended, names = material.blended, material.predictions.names
    several = len(names) > 1
    return Section(
        "runs",
        "Runs and their blend" if several else "The ensembler's table",
        "What each run and each way of blending is worth, by the functions of build_submission.py. "
        "What is fitted is scored on folds it was not fitted on (nested). Runs that correlate least "
        "gain most from each other.",
        blended.notes,
        [_correlations(material)] if several else [],
        [
            scores_table(material),
            *([_weights(material)] if several else []),
            *map(_variance, blended.variances),
        ],
    )


def _cells(row: Row, chosen: bool) -> list[str]:
    scores = [row.in_sample_auc, row.rank_auc, row.mean_auc, row.average_precision]
    scores += [row.sensitivity, row.brier_score, row.calibration_error, row.calibrated_error]
    name = row.name + ", nested" * row.nested + " (reported here)" * chosen
    cells = [name, four_digits(row.pooled_auc), interval(row.low, row.high)]
    return [*cells, *map(four_digits, scores)]


def _weights(material: Material) -> Table:
    blended, names = material.blended, material.predictions.names
    without = {row["run"]: row for row in blended.without.to_dict(orient="records")}
    rows = []
    for name, weight in zip(names, blended.blend.weights):
        left = without.get(name)
        change = ["-", "-", "-"]
        if left is not None:
            ends = f"{left['low']:+.4f} to {left['high']:+.4f}"
            change = [four_digits(left["auc_without"]), f"{left['change']:+.4f}", ends]
        rows.append([name, f"{weight:.3f}", *change])
    head = ["run", "weight", "AUC without it", "change", "95 % interval"]
    return Table(f"Weights of the blend ({blended.method}), and what each run adds", head, rows)


def _variance(parts: VarianceParts) -> Table:
    rows = [[name, f"{error:.4f}", percent(share)] for name, error, share in parts.rows()]
    caption = f"Variance of the AUC of {', '.join(parts.runs)}: {parts.advice()}"
    return Table(caption, ["variance of the AUC", "standard deviation", "share"], rows)


def _correlations(material: Material) -> Chart:
    names, matrix = material.predictions.names, material.blended.correlations
    values = [[None if math.isnan(value) else value for value in row] for row in matrix.tolist()]
    texts = [["-" if value is None else f"{value:.2f}" for value in row] for row in values]
    shown = [label(f"{number} {name}") for number, name in enumerate(names, start=1)]
    places = [str(number) for number in range(1, len(names) + 1)]
    trace = {
        "type": "heatmap",
        "x": places,
        "y": shown,
        "z": values,
        "zmin": -1,
        "zmax": 1,
        "text": texts,
        "texttemplate": "%{text}" if len(names) <= 12 else "",
        "colorscale": [[0, "#b2182b"], [0.5, "#f7f7f7"], [1, "#2166ac"]],
        "hovertemplate": "%{y} and %{x}: %{text}<extra></extra>",
        "colorbar": {"thickness": 12},
    }
    lines = [[name, *line] for name, line in zip(names, texts)]
    drawn = figure(
        [trace],
        {"title": {"text": ""}, "type": "category", "showgrid": False},
        {"autorange": "reversed", "automargin": True, "showgrid": False},
        140 + 30 * len(names),
    )
    return Chart(
        "correlations",
        "Correlation of the runs' predictions",
        "Spearman's rank correlation of every two runs, out of fold.",
        drawn,
        Table("Spearman's correlation", ["run", *names], lines),
    )
