"""Whether a predicted probability of 20 % comes true in 20 of 100 images."""

from dataclasses import dataclass

import numpy as np

from melanoma.ensemble.methods import Codes
from melanoma.ensemble.table import Row, four_digits
from melanoma.metrics.calibration import calibration_bins
from melanoma.metrics.checks import Floats
from melanoma.report.curves import Curve
from melanoma.report.drawing import colour, figure, line
from melanoma.report.parts import Chart, Section, Table
from melanoma.report.reading import Material
from melanoma.report.words import percent

_ROOM = 1.08


@dataclass(frozen=True)
class Bin:
    """Images with predictions that are next to each other.

    Attributes:
        n: How many.
        predicted: Their mean prediction.
        observed: The share of melanomas.
        low: Lower end of its 95 % interval, which takes images to be independent (Wilson's).
        high: Its upper end.
    """

    n: int
    predicted: float
    observed: float
    low: float
    high: float


def calibration(material: Material) -> Section:
    """The section of calibration."""
    name, title = "calibration", "Calibration"
    lead = (
        "Whether probabilities can be taken at their word. The AUC does not ask for it; a user who "
        "reads a probability does."
    )
    if not material.are_probabilities:
        note = (
            f"{material.row.name} blends ranks, which are no probabilities: nothing to calibrate."
        )
        return Section(name, title, lead, [note])
    bins = reliability(material.predictions.targets, material.scores)
    return Section(name, title, lead, charts=[_chart(material, bins)], tables=[_table(bins)])


def reliability(targets: Codes, scores: Floats) -> list[Bin]:
    """The bins of the expected calibration error, as melanoma.metrics makes them.

    Args:
        targets: Shape (n,), 0 or 1.
        scores: Shape (n,), in [0, 1].
    """
    bin_of = calibration_bins(scores)
    return [_bin(targets[bin_of == k], scores[bin_of == k]) for k in np.unique(bin_of)]


def _bin(targets: Codes, scores: Floats) -> Bin:
    from scipy.stats import binomtest  # slow to import

    positives = int(targets.sum())
    ends = binomtest(positives, targets.size).proportion_ci(method="wilson")
    return Bin(
        targets.size,
        float(scores.mean()),
        positives / targets.size,
        float(ends.low),
        float(ends.high),
    )


def _chart(material: Material, bins: list[Bin]) -> Chart:
    row = material.row
    end = min(1.0, _ROOM * max(max(each.predicted, each.high) for each in bins))
    ideal = line(Curve(np.array([0, end]), np.array([0, end])), "as predicted", colour("muted"))
    ideal |= {"hoverinfo": "skip", "line": {"color": colour("muted"), "dash": "dot", "width": 1}}
    bars = {
        "type": "data",
        "symmetric": False,
        "array": [each.high - each.observed for each in bins],
        "arrayminus": [each.observed - each.low for each in bins],
        "color": colour("accent"),
        "thickness": 1.5,
    }
    points = {
        "type": "scatter",
        "mode": "lines+markers",
        "name": "observed, with 95 % interval",
        "x": [each.predicted for each in bins],
        "y": [each.observed for each in bins],
        "error_y": bars,
        "marker": {"color": colour("accent"), "size": 8},
        "line": {"color": colour("accent"), "width": 1},
        "hovertemplate": "predicted %{x:.2%}, observed %{y:.2%}<extra></extra>",
    }
    axis = {"tickformat": ".3~p" if end < 0.05 else ".0%", "range": [-0.02 * end, end]}
    x, y = ({"title": {"text": text}, **axis} for text in ("mean prediction", "melanomas"))
    return Chart(
        "reliability",
        "Predicted and observed",
        f"Ten bins of equally many images. The expected calibration error is "
        f"{four_digits(row.calibration_error)}, the Brier score {four_digits(row.brier_score)}; lower "
        f"is better. {_if_calibrated(row)}",
        figure([ideal, points], x, y, 420),
    )


def _if_calibrated(row: Row) -> str:
    mean, high = map(four_digits, (row.calibrated_error, row.calibrated_error_high))
    return (
        "Shares of few melanomas scatter: a perfectly calibrated model with the same predictions would "
        f"show a calibration error of {mean} on average, and of more than {high} in 5 of 100 samples."
    )


def _table(bins: list[Bin]) -> Table:
    rows = [
        [
            str(number),
            f"{each.n:,}",
            percent(each.predicted, 2),
            percent(each.observed, 2),
            f"{percent(each.low, 2)} to {percent(each.high, 2)}",
        ]
        for number, each in enumerate(bins, start=1)
    ]
    head = ["bin", "images", "predicted", "observed", "95 % interval"]
    return Table("Predicted and observed shares of melanomas, by bin", head, rows)
