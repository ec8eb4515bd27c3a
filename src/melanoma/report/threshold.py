"""Sensitivity against specificity, with a slider for the threshold."""

from melanoma.report.drawing import colour, figure, log_odds, log_odds_axis, shares_axis
from melanoma.report.parts import Chart, Section
from melanoma.report.thresholds import Thresholds
from melanoma.report.words import percent


def threshold_section(stops: Thresholds) -> Section:
    """The section of the threshold; the page adds the slider and the confusion matrix."""
    return Section(
        "threshold",
        "Choosing a threshold",
        "From which score on is an image called melanoma? The score needs no threshold, a use does. "
        "It starts where the ensembler's sensitivity is measured: at 90 % specificity.",
        charts=[_chart(stops)],
    )


def _chart(stops: Thresholds) -> Chart:
    places = [log_odds(threshold) for threshold in stops.thresholds]
    shares = [("sensitivity", stops.sensitivities), ("specificity", stops.specificities)]
    traces = [
        {
            "type": "scatter",
            "mode": "lines",
            "name": name,
            "x": places,
            "y": values,
            "customdata": stops.thresholds,
            "hovertemplate": "%{y:.1%} from %{customdata:.4f} on<extra>%{fullData.name}</extra>",
            "line": {"color": colour(color), "width": 2.5, "shape": "vh"},
        }
        for (name, values), color in zip(shares, ("melanoma", "other"))
    ]
    here = {"type": "line", "yref": "paper", "y0": 0, "y1": 1, "x0": places[stops.start]}
    here |= {
        "x1": places[stops.start],
        "line": {"color": colour("ink"), "width": 2, "dash": "dash"},
    }
    x, y = log_odds_axis("threshold", places[0], places[-1]), shares_axis("")
    return Chart(
        "threshold-chart",
        "Sensitivity and specificity by threshold",
        f"At a threshold of {stops.threshold:.4f} the sensitivity is "
        f"{percent(stops.sensitivities[stops.start])} and the specificity "
        f"{percent(stops.specificities[stops.start])}. The higher the threshold, the fewer melanomas "
        "are found and the fewer others are called so.",
        figure(traces, x, y, 360, shapes=[here]),
    )
