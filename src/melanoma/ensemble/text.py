"""What is known about a blend, for a terminal of 120 columns."""

import math
import textwrap
from collections.abc import Sequence

from melanoma.ensemble.blending import Blended
from melanoma.ensemble.repeats import VarianceParts
from melanoma.ensemble.table import Row, align_columns, four_digits, short_name, table_as_text
from melanoma.metrics.checks import Floats

WIDTH = 120


def blend_as_text(blended: Blended, names: list[str], folds: list[int]) -> str:
    """Scores, comparisons with what was chosen, what each run adds, correlations, and notes.

    Args:
        blended: The blend.
        names: Of the runs.
        folds: Their numbers, in order.
    """
    several = len(names) > 1
    parts = [
        table_as_text(blended.rows, folds) if blended.rows else "",
        calibration_as_text(blended.rows),
        _comparisons(blended, blended.chosen) if blended.chosen and len(blended.rows) > 1 else "",
        _without(blended, names) if several else "",
        _correlations(blended.correlations, names) if several else "",
        *map(_variance, blended.variances),
        "\n".join(map(wrap, blended.notes)),
    ]
    return "\n\n".join(part for part in parts if part)


def calibration_as_text(rows: Sequence[Row]) -> str:
    """What the calibration errors of the table would be without any miscalibration.

    Args:
        rows: Of the table; empty text where none of them has probabilities.
    """
    known = "; ".join(
        f"{row.title} {four_digits(row.calibrated_error)} ({four_digits(row.calibrated_error_high)})"
        for row in rows
        if row.calibrated_error is not None
    )
    said = (
        "calibration error of a perfectly calibrated model with the same predictions, mean (95 % of "
        "samples are below): "
    )
    return wrap(said + known) if known else ""


def wrap(line: str) -> str:
    """Break a long line, and indent what follows."""
    return textwrap.fill(
        line, WIDTH, subsequent_indent="  ", break_long_words=False, break_on_hyphens=False
    )


def _comparisons(blended: Blended, chosen: Row) -> str:
    titles = {row.name: row.title for row in blended.rows}
    lines = [[f"{chosen.title} minus", "difference", "95 % interval", "p", "p, DeLong"]]
    for pair in blended.comparisons.to_dict(orient="records"):
        if chosen.name not in (pair["first"], pair["second"]):
            continue
        sign, other = (1, "second") if pair["first"] == chosen.name else (-1, "first")
        low, high = sorted([sign * pair["low"], sign * pair["high"]])
        numbers = [f"{sign * pair['difference']:+.4f}", f"{low:+.4f} to {high:+.4f}"]
        lines.append([titles[pair[other]], *numbers, _p(pair["p_bootstrap"]), _p(pair["p_delong"])])
    return align_columns(lines)


def _without(blended: Blended, names: list[str]) -> str:
    lines = [["run", "weight", "AUC without it", "change", "95 % interval"]]
    if blended.without.empty:
        weights = zip(names, blended.blend.weights)
        return align_columns(
            [["run", "weight"], *([short_name(n), f"{w:.3f}"] for n, w in weights)]
        )
    for row, weight in zip(blended.without.to_dict(orient="records"), blended.blend.weights):
        scores = [four_digits(row["auc_without"]), f"{row['change']:+.4f}"]
        interval = f"{row['low']:+.4f} to {row['high']:+.4f}"
        lines.append([short_name(row["run"]), f"{weight:.3f}", *scores, interval])
    return align_columns(lines)


def _correlations(matrix: Floats, names: list[str]) -> str:
    lines = [["Spearman's correlation", *(str(number + 1) for number in range(len(names) - 1))]]
    for number, name in enumerate(names):
        known = ["-" if math.isnan(value) else f"{value:.2f}" for value in matrix[number, :number]]
        empty = [""] * (len(names) - 1 - number)
        lines.append([f"{number + 1} {short_name(name)}", *known, *empty])
    return align_columns(lines, gap=" ")


def _variance(parts: VarianceParts) -> str:
    lines = [["variance of the AUC", "standard deviation", "share"]]
    lines += [[name, f"{error:.4f}", f"{share:.0%}"] for name, error, share in parts.rows()]
    runs = f"{len(parts.runs)} repeats of one recipe ({', '.join(map(short_name, parts.runs))})"
    return f"{align_columns(lines)}\n{wrap(f'{runs}: {parts.advice()}')}"


def _p(value: float) -> str:
    return "<0.001" if value < 0.001 else f"{value:.3f}"
