"""How predictions are distributed: out of fold, by class, beside those of the test images."""

import numpy as np

from melanoma.ensemble.checks import Shift
from melanoma.ensemble.table import p_as_text
from melanoma.metrics.checks import Floats
from melanoma.report.drawing import ENDS, colour, figure, label, log_odds, log_odds_axis
from melanoma.report.parts import Chart, Section, Table
from melanoma.report.reading import Material
from melanoma.report.words import percent

_BINS = 40
# More would be a wall; the table has them all.
_MOST_CHARTS = 6
_NARROWEST = 0.01


def distributions(material: Material) -> Section:
    """The section of histograms."""
    given = material.predictions
    shifts: list[Shift | None] = [*material.review.shifts] or [None] * len(given.names)
    charts = [_chart(material, place, shift) for place, shift in enumerate(shifts[:_MOST_CHARTS])]
    notes = [*material.missing.of("scores")]
    if not given.test and not notes:
        notes.append("no test predictions: the competition folder has no test.csv.")
    known = [shift for shift in shifts if shift is not None]
    return Section(
        "scores",
        "Test scores beside out-of-fold scores",
        "Where test images get scores unlike those of training images, the out-of-fold score says "
        "little about them. Both are by single networks: a mean of several is nearer the middle.",
        notes,
        charts,
        [_table(known)] if known else [],
    )


def edges_of(values: Floats) -> Floats:
    """The ends of 40 bins of equal width on the scale of log-odds, from the least to the largest.

    >>> len(edges_of(np.array([0.5, 0.5])))
    41
    """
    low, high = log_odds(float(values.min())), log_odds(float(values.max()))
    middle, reach = (low + high) / 2, max(high - low, _NARROWEST) / 2
    edges: Floats = np.linspace(middle - reach, middle + reach, _BINS + 1)
    return edges


def shares_of_bins(values: Floats, edges: Floats) -> list[float]:
    """The share of values, shape (n,), in each bin.

    >>> round(sum(shares_of_bins(np.array([0.0, 0.5, 1.0]), edges_of(np.array([0.0, 1.0])))), 6)
    1.0
    """
    kept = np.clip(values, *ENDS)
    # Clipped again: rounding must not put what is at an end beyond it.
    logits = np.clip(np.log(kept / (1 - kept)), edges[0], edges[-1])
    counts, _ = np.histogram(logits, edges)
    shares: list[float] = (counts / max(values.size, 1)).tolist()
    return shares


def _chart(material: Material, place: int, shift: Shift | None) -> Chart:
    given, name = material.predictions, material.predictions.names[place]
    oof, positive = given.oof[place], given.targets == 1
    test = given.test[place].ravel() if given.test else np.empty(0)
    edges = edges_of(np.concatenate([oof, test]))
    groups = [("others, out of fold", oof[~positive], "other")]
    groups.append(("melanomas, out of fold", oof[positive], "melanoma"))
    traces = [_bars(title, values, edges, color) for title, values, color in groups]
    if test.size:
        traces += [_outline("all, out of fold", oof, edges, "muted", "dot")]
        traces += [_outline("test", test, edges, "ink", "solid")]
    x = log_odds_axis("prediction", float(edges[0]), float(edges[-1]))
    y = {"title": {"text": "share of its images"}, "tickformat": ".0%", "rangemode": "tozero"}
    said = "" if shift is None else f" {_distance_in_words(shift)}"
    return Chart(
        f"scores-{place}",
        "Distribution of the predictions" + (f": {name}" if len(given.names) > 1 else ""),
        f"Shares of images by prediction, on a scale of log-odds; each colour adds up to 100 %.{said}",
        figure(traces, x, y, 400, barmode="overlay", bargap=0.05),
    )


def _distance_in_words(shift: Shift) -> str:
    size = "a shift" if shift.is_large else "no shift to speak of"
    corrected = p_as_text(shift.p_value, shift.n_runs, "runs")
    return (
        f"Test and out-of-fold predictions differ by up to {100 * shift.distance:.1f} points "
        f"(Kolmogorov-Smirnov, by patients: {corrected}): {size}."
    )


def _bars(name: str, values: Floats, edges: Floats, color: str) -> dict[str, object]:
    middles = ((edges[:-1] + edges[1:]) / 2).tolist()
    style = {"color": colour(color), "opacity": 0.6}
    trace = {"type": "bar", "name": name, "x": middles, "y": shares_of_bins(values, edges)}
    return {**trace, "marker": style, "hovertemplate": "%{y:.1%}<extra>" + name + "</extra>"}


def _outline(name: str, values: Floats, edges: Floats, color: str, dash: str) -> dict[str, object]:
    middles = ((edges[:-1] + edges[1:]) / 2).tolist()
    style = {"color": colour(color), "width": 2, "shape": "hvh", "dash": dash}
    trace = {"type": "scatter", "mode": "lines", "name": name, "line": style}
    points = {"x": middles, "y": shares_of_bins(values, edges)}
    return {**trace, **points, "hovertemplate": "%{y:.1%}<extra>" + label(name) + "</extra>"}


def _table(shifts: list[Shift]) -> Table:
    rows = []
    for shift in shifts:
        sides = (("out of fold", shift.oof_quantiles), ("test", shift.test_quantiles))
        verdict = "shift" if shift.is_large else "alike"
        for side, quantiles in sides:
            cells = [f"{100 * value:.3g} %" for value in quantiles]
            rows.append([shift.run, side, *cells, percent(shift.distance), verdict])
    head = ["run", "images", "5 %", "25 %", "median", "75 %", "95 %", "distance", ""]
    return Table(
        "Quantiles of the predictions, and how far the two distributions are apart", head, rows
    )
