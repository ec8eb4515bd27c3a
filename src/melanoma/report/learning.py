"""Learning curves of all folds, with a mark at the epoch that predicts."""

from dataclasses import dataclass

import pandas as pd

from melanoma.errors import name_some
from melanoma.report.costs import EPOCH, fold_costs, read_epochs
from melanoma.report.drawing import Axis, figure, label, series
from melanoma.report.parts import Chart, Section, Table
from melanoma.report.reading import Material
from melanoma.run_folder import RunFolder

# More runs than these are told apart by their tables alone.
_MOST_RUNS = 6
_MOST_TICKS = 12
_MEASURES = {
    "val_auc": ("validation AUC", "higher is better"),
    "val_loss": ("loss", "solid: validation, dotted: training; lower is better"),
    "learning_rate": ("learning rate", "at the end of each epoch"),
}


@dataclass(frozen=True)
class _FoldCurve:
    fold: int
    epochs: pd.DataFrame
    predicting: int | None

    def of(self, column: str) -> tuple[list[int], list[float]]:
        """Epochs from 1, and what they have of a column."""
        known = self.epochs[self.epochs[column].notna()]
        return (known[EPOCH].astype(int) + 1).tolist(), known[column].tolist()


def learning(material: Material) -> Section:
    """The section of learning curves."""
    notes: list[str] = []
    charts: list[Chart] = []
    tables: list[Table] = []
    for place, run in enumerate(material.runs):
        curves, absent = _curves(run)
        name = material.predictions.names[place]
        views = (material.configs[place].get("model") or {}).get("views", 1)
        if views != 1:
            notes.append(
                f"{name}: while training, one view of each image is looked at; the folds' AUCs are of "
                f"the mean over {views} views."
            )
        if absent:
            notes.append(f"{name}: no readable metrics.csv of fold {name_some(absent)}.")
        if place < _MOST_RUNS:
            shown = f", {name}" if len(material.runs) > 1 else ""
            charts += [_chart(column, curves, place, shown) for column in _known(curves)]
        tables += [_table(name, curves)] if curves else []
    return Section(
        "learning",
        "Learning curves",
        "A diamond marks the epoch that predicts. If the AUC still rises at the end, more epochs may "
        "help; if the validation loss rises long before, fewer, or stronger augmentation.",
        notes,
        charts,
        tables,
    )


def _curves(run: RunFolder) -> tuple[list[_FoldCurve], list[int]]:
    """Of all folds that have been begun, and the folds without."""
    predicting = {cost.fold: cost.epoch for cost in fold_costs(run)}
    curves, absent = [], []
    for fold in run.begun_folds():
        epochs = read_epochs(run.fold(fold))
        if epochs is None or epochs.empty:
            absent.append(fold)
        else:
            curves.append(_FoldCurve(fold, epochs, predicting.get(fold)))
    return curves, absent


def _known(curves: list[_FoldCurve]) -> list[str]:
    return [c for c in _MEASURES if any(c in curve.epochs.columns for curve in curves)]


def _chart(column: str, curves: list[_FoldCurve], place: int, shown: str) -> Chart:
    title, hint = _MEASURES[column]
    traces = []
    for curve in curves:
        if column in curve.epochs.columns:
            traces += _traces(curve, column)
        if column == "val_loss" and "train_loss" in curve.epochs.columns:
            traces.append(_line(curve, "train_loss", "dot"))
    n_epochs = max(int(curve.epochs[EPOCH].max()) + 1 for curve in curves)
    step = -(-n_epochs // _MOST_TICKS)
    x: Axis = {"title": {"text": "epoch"}, "dtick": step, "tickformat": "d"}
    y: Axis = {"title": {"text": title}}
    if column == "learning_rate":
        y |= {"rangemode": "tozero", "tickformat": ".1e"}
    return Chart(
        f"learning-{place}-{column.replace('_', '-')}",
        f"{title[0].upper()}{title[1:]}{shown}",
        f"A line per fold over epochs; {hint}.",
        figure(traces, x, y, 360),
    )


def _traces(curve: _FoldCurve, column: str) -> list[dict[str, object]]:
    traces = [_line(curve, column, "solid")]
    epochs, values = curve.of(column)
    if curve.predicting in epochs and column != "learning_rate":
        symbol = {"symbol": "diamond", "size": 11, "color": series(curve.fold)}
        traces.append(
            {
                "type": "scatter",
                "mode": "markers",
                "name": f"fold {curve.fold}, predicts",
                "legendgroup": str(curve.fold),
                "showlegend": False,
                "x": [curve.predicting],
                "y": [values[epochs.index(curve.predicting)]],
                "marker": {**symbol, "line": {"width": 2, "color": "var(--ink)"}},
            }
        )
    return traces


def _line(curve: _FoldCurve, column: str, dash: str) -> dict[str, object]:
    epochs, values = curve.of(column)
    style = {"color": series(curve.fold), "dash": dash, "width": 2 if dash == "solid" else 1.5}
    return {
        "type": "scatter",
        "mode": "lines+markers" if len(epochs) < 3 else "lines",
        "name": label(f"fold {curve.fold}"),
        "legendgroup": str(curve.fold),
        "showlegend": dash == "solid",
        "x": epochs,
        "y": values,
        "line": style,
    }


def _table(name: str, curves: list[_FoldCurve]) -> Table:
    rows = []
    for curve in curves:
        kept = curve.epochs[curve.epochs[EPOCH] + 1 == curve.predicting]
        row = (kept if len(kept) else curve.epochs.tail(1)).iloc[0]
        cells = [f"{row[c]:.4f}" if c in row and pd.notna(row[c]) else "-"
                 for c in ("train_loss", "val_loss", "val_auc")]  # fmt: skip
        state = str(curve.predicting) if curve.predicting is not None else "not finished"
        rows.append([str(curve.fold), state, str(len(curve.epochs)), *cells])
    head = ["fold", "epoch", "epochs", "training loss", "validation loss", "validation AUC"]
    return Table(f"{name}: the epoch that predicts (of an unfinished fold the last)", head, rows)
