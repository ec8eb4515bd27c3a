"""The AUC of groups of images: by sex, age, site, size of the photograph, number per patient."""

from collections.abc import Iterator
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from melanoma.ensemble.methods import Codes
from melanoma.ensemble.table import four_digits
from melanoma.folds.factors import SHORT_NAMES, factors_of
from melanoma.metrics import PartTest, PatientBootstrap, auc
from melanoma.metrics.checks import Floats
from melanoma.report.alarms import FEWEST, compare_groups
from melanoma.report.drawing import Axis, colour, figure, label
from melanoma.report.parts import Chart, Section, Table
from melanoma.report.reading import Material
from melanoma.report.words import interval, p_cell
from melanoma.tables import AGE, SEX, SITE, patients_of

# Values beyond these are many and rare.
_MOST_VALUES = 9
_PATIENT_BANDS = [(1, 1), (2, 4), (5, 9), (10, 19), (20, 49), (50, 10**9)]
_FACTORS = {SEX: "sex", AGE: "age", SITE: "site"}
IMAGE_SIZE, PATIENT_SIZE = "photograph, pixels", "photographs of the patient"


@dataclass(frozen=True)
class Group:
    """Images that have a value in common.

    Attributes:
        factor: What they are grouped by.
        value: What they have in common.
        n: Images.
        melanomas: Of them.
        patients: Whose they are.
        auc: None where the group is too small, or of one class.
        low: Lower end of its 95 % interval over patients.
        high: Its upper end.
        others: The mean AUC of the other groups of its factor, each scored by itself; None where no
            other is large enough.
        p_value: How often a group that is no weaker than these looks as weak by chance, corrected for
            the number of groups of all factors.
    """

    factor: str
    value: str
    n: int
    melanomas: int
    patients: int
    auc: float | None = None
    low: float | None = None
    high: float | None = None
    others: float | None = None
    p_value: float | None = None

    @property
    def title(self) -> str:
        """What they are grouped by, in a word, and what they have in common."""
        factor = {IMAGE_SIZE: "pixels", PATIENT_SIZE: "per patient"}.get(self.factor, self.factor)
        return f"{factor}: {self.value}"

    @property
    def why_not(self) -> str:
        """Why there is no AUC."""
        if self.melanomas in (0, self.n):
            return "one class only: no AUC"
        few = "melanoma" if self.melanomas < FEWEST else "other"
        number = min(self.melanomas, self.n - self.melanomas)
        return f"too small: {number} {few}{'s' * (number > 1)}"

    def as_dict(self) -> dict[str, Any]:
        """For JSON."""
        return asdict(self)


def factors_to_show(rows: pd.DataFrame, sizes: "pd.Series[str] | None") -> pd.DataFrame:
    """A column per factor, values as text.

    Args:
        rows: A row per image, with whatever is known of it.
        sizes: Of the photographs, as text; None where they are not known.
    """
    known = factors_of(rows)
    factors = {_FACTORS[name]: known[name] for name in _FACTORS if name in known}
    if sizes is not None:
        factors[IMAGE_SIZE] = sizes
    patients = patients_of(rows)
    if patients.duplicated().any():
        factors[PATIENT_SIZE] = _patient_bands(patients)
    return pd.DataFrame({name: _most_common(values) for name, values in factors.items()})


def score_groups(
    factors: pd.DataFrame, targets: Codes, scores: Floats, patients: npt.NDArray[np.int64]
) -> list[Group]:
    """Score the images of every value of every factor, and compare them with the factor's others.

    Args:
        factors: A row per image, values as text.
        targets: Shape (n,), 0 or 1.
        scores: Shape (n,), finite.
        patients: Shape (n,).
    """
    tests = compare_groups(factors, targets, scores, patients)
    groups = [
        _score(factor, value, targets[inside], scores[inside], patients[inside])
        for factor, value, inside in _groups_of(factors)
    ]
    return [_compared(group, tests.get((group.factor, group.value))) for group in groups]


def groups_section(material: Material, groups: list[Group], missing: list[str]) -> Section:
    """The section of groups."""
    shown = list(dict.fromkeys(group.factor for group in groups))
    absent = [name for name in _FACTORS.values() if name not in shown]
    notes = [*missing, *material.missing.of("groups")]
    if absent and not material.missing.of("groups"):
        notes.append(f"train.csv has no column of {', '.join(absent)}.")
    if PATIENT_SIZE not in shown:
        notes.append("every image is of another patient, or patients are not known.")
    charts = [_chart(material, groups)] if any(g.auc is not None for g in groups) else []
    return Section(
        "groups",
        "Where it works and where not",
        "The AUC of parts of the images, with 95 % intervals over patients. Each group is compared "
        "with the other groups of its kind, each scored by itself; p is corrected for the number of "
        "groups, of which some look bad by chance. All groups may lie below the dashed line, the AUC "
        "of all images: what a group has in common, such as an age, tells none of its images apart.",
        notes,
        charts,
        [_table(name, groups) for name in shown],
    )


def _groups_of(factors: pd.DataFrame) -> Iterator[tuple[str, str, npt.NDArray[np.bool_]]]:
    for factor in factors.columns:
        column = factors[factor].to_numpy()
        values = list(dict.fromkeys(sorted(column, key=_natural)))
        for value in values:
            yield str(factor), value, column == value


def _score(factor: str, value: str, targets: Codes, scores: Floats, patients: Codes) -> Group:
    melanomas = int(targets.sum())
    counts = targets.size, melanomas, np.unique(patients).size
    if min(melanomas, targets.size - melanomas) < FEWEST:
        return Group(factor, value, *counts)
    ends = PatientBootstrap(targets, patients).interval(scores)
    return Group(factor, value, *counts, auc(targets, scores), ends.low, ends.high)


def _compared(group: Group, test: PartTest | None) -> Group:
    return group if test is None else replace(group, others=test.others, p_value=test.p_value)


def _natural(value: str) -> tuple[bool, float, str]:
    """Numbers by their size, other text after them."""
    digits = value.split("-")[0].split(" ")[0].rstrip("+")
    return not digits.isdigit(), float(digits) if digits.isdigit() else 0.0, value


def _patient_bands(patients: "pd.Series[str]") -> "pd.Series[str]":
    sizes = patients.map(patients.value_counts()).to_numpy()
    names = np.empty(len(sizes), dtype=object)
    for low, high in _PATIENT_BANDS:
        title = f"{low}-{high}" if high < 10**9 else f"{low}+"
        names[(sizes >= low) & (sizes <= high)] = str(low) if low == high else title
    return pd.Series(names.astype(str), index=patients.index)


def _most_common(values: "pd.Series[str]") -> "pd.Series[str]":
    counts = values.value_counts()
    if len(counts) <= _MOST_VALUES + 1:
        return values
    rare = counts.index[_MOST_VALUES:]
    return values.where(~values.isin(rare), f"{len(rare)} others")


def _chart(material: Material, groups: list[Group]) -> Chart:
    known = [group for group in groups if group.auc is not None]
    places = list(range(len(known)))[::-1]
    areas = [group.auc or 0.0 for group in known]
    bars = {
        "type": "data",
        "symmetric": False,
        "array": [(group.high or 0) - area for group, area in zip(known, areas)],
        "arrayminus": [area - (group.low or 0) for group, area in zip(known, areas)],
        "color": colour("accent"),
        "thickness": 2,
    }
    points = {
        "type": "scatter",
        "mode": "markers",
        "name": "AUC",
        "x": areas,
        "y": places,
        "error_x": bars,
        "marker": {"color": colour("accent"), "size": 9},
        "customdata": [[label(group.title), group.n, group.melanomas] for group in known],
        "hovertemplate": "%{customdata[0]}: %{x:.4f}<br>%{customdata[1]:,} images, "
        "%{customdata[2]:,} melanomas<extra></extra>",
    }
    drawn = figure(
        [points],
        {"title": {"text": "AUC"}, "tickformat": ".2f"},
        _group_axis(known, places),
        120 + 26 * len(known),
        showlegend=False,
        shapes=[_pooled_line(material.row.pooled_auc)],
    )
    return Chart(
        "groups-chart",
        "AUC by group",
        f"A point per group that is large enough, with its 95 % interval; the dashed line is the AUC "
        f"of all images, {material.row.pooled_auc:.4f}.",
        drawn,
    )


def _group_axis(known: list[Group], places: list[int]) -> Axis:
    texts = [label(group.title) for group in known]
    marks = {"tickvals": places, "ticktext": texts, "ticks": ""}
    return {**marks, "range": [-0.7, len(known) - 0.3], "automargin": True, "zeroline": False}


def _pooled_line(area: float) -> dict[str, object]:
    style = {"color": colour("ink"), "width": 1.5, "dash": "dash"}
    return {
        "type": "line",
        "x0": area,
        "x1": area,
        "yref": "paper",
        "y0": 0,
        "y1": 1,
        "line": style,
    }


def _table(factor: str, groups: list[Group]) -> Table:
    rows = []
    for group in groups:
        if group.factor != factor:
            continue
        counts = [f"{number:,}" for number in (group.n, group.melanomas, group.patients)]
        if group.auc is None or group.low is None or group.high is None:
            scores = ["-", group.why_not, "-", "-"]
        else:
            scores = [f"{group.auc:.4f}", interval(group.low, group.high)]
            scores += [four_digits(group.others), p_cell(group.p_value)]
        rows.append([group.value, *counts, *scores])
    name = SHORT_NAMES.get(factor, factor)
    head = [name, "images", "melanomas", "patients", "AUC", "95 % interval", "other groups", "p"]
    return Table(f"By {name}", head, rows)
