"""A picture of a shift: what share of images lies below each threshold."""

from collections.abc import Sequence
from io import BytesIO
from typing import TYPE_CHECKING

import numpy as np

from melanoma.ensemble.checks import Shift
from melanoma.metrics.checks import Floats

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_COLUMNS = 3
_OOF_COLOR, _TEST_COLOR = "#4477aa", "#ee6677"
# Of a curve; more cannot be told apart.
_POINTS = 1000
_TICKS = (1e-4, 1e-3, 0.01, 0.1, 0.5, 0.9, 0.99, 0.999)


def draw_shifts(shifts: Sequence[Shift], oof: Sequence[Floats], test: Sequence[Floats]) -> bytes:
    """Draw the distributions of predictions: a panel per run, out of fold and on test images.

    Args:
        shifts: Of the runs to draw.
        oof: Their out-of-fold predictions, each of shape (n_rows,).
        test: Their test predictions, each of shape (n_networks, n_test).

    Returns:
        A PNG file.
    """
    # Imported here: it takes a second, and only a shift is drawn.
    import matplotlib as mpl
    from matplotlib.figure import Figure

    columns = min(_COLUMNS, len(shifts))
    rows = -(-len(shifts) // columns)
    with mpl.rc_context({"font.size": 9, "axes.titlesize": 10}):
        figure = Figure(figsize=(1 + 4 * columns, 0.6 + 3.2 * rows), layout="constrained")
        grid = figure.subplots(rows, columns, squeeze=False).flatten()
        for axes, shift, of_oof, of_test in zip(grid, shifts, oof, test):
            _draw_shift(axes, shift, of_oof, of_test)
        for axes in grid[len(shifts) :]:
            axes.set_axis_off()
        grid[0].legend(loc="lower right", frameon=False)
        figure.suptitle("Predictions of test images beside those out of fold", fontsize=12)
        file = BytesIO()
        figure.savefig(file, dpi=110)
    return file.getvalue()


def _draw_shift(axes: "Axes", shift: Shift, oof: Floats, test: Floats) -> None:
    shares = np.linspace(0, 1, _POINTS)
    for label, values, color in [("out of fold", oof, _OOF_COLOR), ("test", test, _TEST_COLOR)]:
        quantiles = np.clip(np.quantile(values, shares), _TICKS[0], _TICKS[-1])
        axes.plot(quantiles, 100 * shares, color=color, label=label)
    axes.set_title(f"{shift.run}: up to {100 * shift.distance:.0f} points apart")
    # A rare disease: most predictions are small, and a linear axis would hide them all at 0.
    axes.set_xscale("logit")
    axes.set_xticks(_TICKS, [f"{100 * tick:g}" for tick in _TICKS])
    axes.set_xlim(_TICKS[0], _TICKS[-1])
    axes.set_xlabel("prediction, %")
    axes.set_ylabel("images below it, %")
    axes.grid(alpha=0.3)
    axes.minorticks_off()
    axes.spines[["top", "right"]].set_visible(False)
