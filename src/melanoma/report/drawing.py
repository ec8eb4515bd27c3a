"""Plotly figures in the report's colours, as JSON.

Colours are names of the page's own (CSS custom properties): the page puts in those of the light or
the dark side. Text that comes from tables is escaped: plotly takes it for a little HTML.
"""

import html
import json
import math
from collections.abc import Sequence
from typing import Any

from melanoma.report.curves import Curve

N_SERIES = 8
# Where a scale of log-odds has its marks, and where it ends.
_FEWEST_MARKS = 4
_SHARES = (1e-4, 1e-3, 0.01, 0.1, 0.5, 0.9, 0.99, 0.999, 1 - 1e-4)
ENDS = (_SHARES[0], _SHARES[-1])

Axis = dict[str, Any]


def series(number: int) -> str:
    """The colour of a series; they repeat after eight."""
    return f"var(--series-{number % N_SERIES + 1})"


def colour(name: str) -> str:
    """A colour of the page: ink, muted, line, melanoma, other or accent."""
    return f"var(--{name})"


def label(text: object) -> str:
    """Text from a table, so that plotly shows it as it is."""
    return html.escape(str(text), quote=False)


def shares_axis(title: str, **more: Any) -> Axis:
    """An axis from 0 to 1, written in percent."""
    return {"title": {"text": title}, "range": [-0.01, 1.01], "tickformat": ".0%", **more}


def log_odds_axis(title: str, low: float, high: float) -> Axis:
    """An axis of log-odds, written as the percents they stand for: small ones have room there.

    Args:
        title: Of the axis.
        low: Where what is drawn begins, as log-odds.
        high: Where it ends.
    """
    marks = [log_odds(share) for share in _SHARES if low <= log_odds(share) <= high]
    if len(marks) < _FEWEST_MARKS:
        marks = [low + (high - low) * step / _FEWEST_MARKS for step in range(_FEWEST_MARKS + 1)]
    texts = [f"{100 / (1 + math.exp(-mark)):.3g} %" for mark in marks]
    return {"title": {"text": title}, "tickvals": marks, "ticktext": texts, "tickangle": 0}


def log_odds(share: float) -> float:
    """The log-odds of a share, kept where the axis has its ends.

    >>> log_odds(0.5), round(log_odds(0), 2)
    (0.0, -9.21)
    """
    kept = min(max(share, ENDS[0]), ENDS[1])
    return math.log(kept / (1 - kept))


def line(curve: Curve, name: str, color: str, **more: Any) -> dict[str, Any]:
    """A line through the points of a curve."""
    style = {"color": color, "width": 1.5, **more.pop("line", {})}
    points = {"x": curve.x.tolist(), "y": curve.y.tolist()}
    trace = {"type": "scatter", "mode": "lines", "name": label(name), "line": style}
    return {**trace, **points, **more}


def figure(
    traces: Sequence[dict[str, Any]], x: Axis, y: Axis, height: int = 380, **layout: Any
) -> dict[str, Any]:
    """A figure as JSON, its properties checked by plotly.

    Args:
        traces: As plotly knows them.
        x: The axis along.
        y: The axis up.
        height: In pixels.
        layout: Whatever else plotly knows.

    Raises:
        ValueError: If plotly knows no such property: a programming error.
    """
    import plotly.graph_objects as go  # slow to import

    settings = {"xaxis": x, "yaxis": y, "height": height, "template": None, **layout}
    content: dict[str, Any] = json.loads(go.Figure(data=list(traces), layout=settings).to_json())
    content["layout"].pop("template", None)
    return content
