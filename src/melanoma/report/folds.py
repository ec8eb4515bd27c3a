"""The folds: what each is worth and has cost, and how even they are."""

from melanoma.ensemble.table import four_digits
from melanoma.folds.balance import Balance
from melanoma.folds.factors import SHORT_NAMES
from melanoma.report.costs import FoldCost, fold_costs
from melanoma.report.drawing import figure, label, series, shares_axis
from melanoma.report.parts import Chart, Section, Table
from melanoma.report.reading import Material
from melanoma.report.words import duration, percent
from melanoma.run_folder import RunFolder
from melanoma.tables import TARGET

# Values beyond these are many and rare: one stripe.
_MOST_STRIPES = 7


def folds_section(material: Material) -> Section:
    """The section of folds."""
    balance = material.balance
    tables = [_table(material)]
    if len(material.runs) > 1:
        tables += [_costs(run) for run in material.runs]
    notes = [*material.missing.of("folds")]
    if balance.split_patients:
        notes.append(f"{balance.leaks_as_text()}. All scores here are flattered.")
    charts = [_shares(name, balance) for name in balance.shares if name != TARGET]
    if not charts:
        notes.append("no sex, site, age or diagnosis is known: their balance cannot be shown.")
    return Section(
        "folds",
        "Folds",
        "Each fold is predicted by the network that never saw it, nor its patients. Stripes that line "
        "up say that folds are alike; how far the AUCs differ says how much is luck.",
        notes,
        charts,
        tables,
    )


def fold_table(material: Material) -> Table:
    """The folds for the terminal: a line each."""
    return _table(material)


def _table(material: Material) -> Table:
    alone = len(material.runs) == 1
    costs = {cost.fold: cost for cost in fold_costs(material.runs[0])} if alone else {}
    epochs = material.epochs[0] if alone else {}
    head = ["fold", "images", "patients", "melanomas", "share", "AUC"]
    head += ["epoch", *(["honest epoch"] if epochs else []), "time"] if alone else []
    rows = []
    per_fold = material.balance.per_fold.to_dict(orient="records")
    for counts, area in zip(per_fold, material.row.fold_aucs):
        cells = [str(counts["fold"])]
        cells += [f"{counts[name]:,}" for name in ("images", "patients", "melanomas")]
        cells += [percent(counts["melanomas"] / counts["images"], 2), four_digits(area)]
        if alone:
            fold = int(counts["fold"])
            epoch, time = _cost_cells(costs.get(fold))
            honest = [str(epochs[fold].honest)] if fold in epochs else []
            cells += [epoch, *honest, time]
        rows.append(cells)
    return Table("The folds, and what each is worth by itself", head, rows)


def _cost_cells(cost: FoldCost | None) -> list[str]:
    if cost is None:
        return ["-", "-"]
    return [cost.epochs_in_words, duration(cost.seconds)]


def _costs(run: RunFolder) -> Table:
    rows = [[str(cost.fold), four_digits(cost.auc), *_cost_cells(cost)] for cost in fold_costs(run)]
    return Table(f"Folds of {run.path.name}", ["fold", "AUC", "epoch", "time"], rows)


def _shares(factor: str, balance: Balance) -> Chart:
    shares = balance.shares[factor]
    if len(shares) > _MOST_STRIPES + 1:
        order = shares.mean(axis=1).sort_values(ascending=False).index
        rare = shares.loc[order[_MOST_STRIPES:]]
        shares = shares.drop(index=rare.index)
        shares.loc[f"{len(rare)} rarer"] = rare.sum()
    places = [f"fold {number}" for number in shares.columns]
    traces = [
        {
            "type": "bar",
            "orientation": "h",
            "name": label(value),
            "y": places,
            "x": (widths / 100).tolist(),
            "marker": {"color": series(number)},
            "hovertemplate": f"%{{x:.1%}} {label(value)}<extra>%{{y}}</extra>",
        }
        for number, (value, widths) in enumerate(zip(shares.index, shares.to_numpy()))
    ]
    name = SHORT_NAMES.get(factor, factor)
    y = {"autorange": "reversed", "ticks": ""}
    x = shares_axis("", range=[0, 1], showgrid=False)
    # Room for a bar per fold, and for a legend of two names a line.
    height = 130 + 28 * len(places) + 10 * len(traces)
    drawn = figure(traces, x, y, height, barmode="stack", bargap=0.15)
    return Chart(
        f"balance-{factor.replace('_', '-')}",
        f"Balance: {name}",
        f"The share of each value in each fold. The share that differs most from fold to fold does so "
        f"by {balance.share_spread(factor):.2f} points.",
        drawn,
        _shares_table(factor, balance),
    )


def _shares_table(factor: str, balance: Balance) -> Table:
    shares = balance.shares[factor]
    rows = [
        [str(value), *(f"{share:.2f} %" for share in widths)]
        for value, widths in zip(shares.index, shares.to_numpy())
    ]
    name = SHORT_NAMES.get(factor, factor)
    head = [name, *(f"fold {number}" for number in shares.columns)]
    return Table(f"Share of the images of each fold, by {name}", head, rows)
