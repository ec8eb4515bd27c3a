"""A picture of a split: the balance of every factor at a glance."""

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
import pandas as pd

from melanoma.files import write_atomically
from melanoma.folds.balance import Balance
from melanoma.folds.factors import SHORT_NAMES
from melanoma.tables import TARGET

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_COLUMNS = 2
# Values beyond these are many and rare: one stripe.
_MOST_STRIPES = 9
_NARROWEST_LABELLED = 6


def draw_balance(balance: Balance, path: Path) -> Path:
    """Draw a split: per factor a bar per fold, cut into the shares of its values.

    Folds that are alike have stripes that line up. The first panels count images, patients and
    melanomas.

    Args:
        balance: The figures of the split.
        path: A .png file.
    """
    # Imported here: it takes a second, and only making folds draws.
    import matplotlib as mpl
    from matplotlib.figure import Figure

    factors = [name for name in balance.shares if name != TARGET]
    panels = 1 + len(factors)
    rows = -(-panels // _COLUMNS)
    bar_height = 0.22 * len(balance.per_fold)
    with mpl.rc_context({"font.size": 9, "axes.titlesize": 10, "axes.titleweight": "bold"}):
        figure = Figure(figsize=(12, rows * (1.5 + bar_height)), layout="constrained")
        grid = figure.subplots(rows, _COLUMNS, squeeze=False).flatten()
        _draw_counts(grid[0], balance.per_fold)
        for axes, name in zip(grid[1:], factors):
            _draw_shares(axes, name, balance)
        for axes in grid[panels:]:
            axes.set_axis_off()
        figure.suptitle(_headline(balance), fontsize=12)
        return write_atomically(path, lambda file: figure.savefig(file, dpi=110))


def _headline(balance: Balance) -> str:
    leaks = len(balance.split_patients)
    return (
        f"{len(balance.per_fold)} folds, {leaks} patients in two of them; "
        f"patient-size strata deviate by at most {balance.strata_deviation:.1f} %"
    )


def _draw_counts(axes: "Axes", per_fold: pd.DataFrame) -> None:
    counts = per_fold.set_index("fold")[["images", "patients", "melanomas"]]
    relative = 100 * counts / counts.mean()
    for offset, (name, color) in enumerate(zip(counts, ["#4477aa", "#66ccee", "#ee6677"])):
        places = counts.index.to_numpy() + 0.27 * (offset - 1)
        bars = axes.barh(places, relative[name], height=0.25, color=color, label=str(name))
        axes.bar_label(bars, [f"{count:,} {name}" for count in counts[name]], padding=2, fontsize=7)
    axes.set_title("images, patients, melanomas (mean over folds = 100)")
    axes.set_xlim(0, float(relative.to_numpy().max()) * 1.25)
    _fold_axis(axes, counts.index.to_numpy())


def _draw_shares(axes: "Axes", name: str, balance: Balance) -> None:
    import matplotlib as mpl

    shares = _most_common(balance.shares[name])
    colors = mpl.colormaps["tab10"].colors  # type: ignore[attr-defined]
    folds = shares.columns.to_numpy(dtype=int)
    left = np.zeros(len(folds))
    for value, widths, color in zip(shares.index, shares.to_numpy(), colors):
        axes.barh(folds, widths, left=left, height=0.8, color=color, label=str(value))
        for fold, start, width in zip(folds, left, widths):
            if width >= _NARROWEST_LABELLED:
                middle = start + width / 2
                axes.text(middle, fold, f"{width:.1f}", ha="center", va="center", fontsize=7)
        left = left + widths
    title = SHORT_NAMES.get(name, name)
    axes.set_title(
        f"{title}: % of images, spread {balance.share_spread(name):.2f} points; "
        f"spread of melanomas {balance.melanoma_spread(name)}"
    )
    axes.set_xlim(0, 100)
    axes.legend(loc="upper center", bbox_to_anchor=(0.5, -0.08), ncols=5, fontsize=7, frameon=False)
    _fold_axis(axes, folds)


def _most_common(shares: pd.DataFrame) -> pd.DataFrame:
    if len(shares) <= _MOST_STRIPES + 1:
        return shares
    rare = shares.mean(axis=1).sort_values().index[: len(shares) - _MOST_STRIPES]
    common = shares.drop(index=rare)
    return pd.concat([common, shares.loc[rare].sum().to_frame(f"{len(rare)} rarer").T])


def _fold_axis(axes: "Axes", folds: npt.NDArray[np.int64]) -> None:
    axes.set_yticks(folds, [f"fold {fold}" for fold in folds])
    axes.invert_yaxis()
    axes.spines[["top", "right"]].set_visible(False)
