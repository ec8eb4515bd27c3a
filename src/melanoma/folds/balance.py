"""How good a split is: what leaks, and how even its folds are. Pure functions of tables."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pandas as pd

from melanoma.errors import name_some
from melanoma.folds.balancing import size_strata
from melanoma.folds.factors import SHORT_NAMES, factors_of, patient_sizes
from melanoma.folds.groups import Groups
from melanoma.tables import FOLD, PATIENT_ID, TARGET, patients_of

# Patients are cut into so many quantile bins by their number of images.
_SIZE_STRATA = 8
# The name of these bins where melanomas are counted by them. The other names are columns.
PATIENT_SIZE = "patient size"


@dataclass(frozen=True)
class Balance:
    """The figures of one split.

    Attributes:
        per_fold: A row per fold: fold, images, patients, melanomas, melanoma_share in percent.
        split_patients: Patients (or groups joined by duplicates, named by a patient) with images in
            more than one fold, sorted: the leaks.
        left_out: Images in no fold.
        strata_deviation: Patients are cut into eight quantile bins by their number of images: the
            largest relative deviation, in percent, of a fold's number of patients in a bin from
            the mean over folds.
        shares: Per factor, the share in percent (row: value, column: fold) of a fold's images with
            each value, missing counted as a value.
        share_floors: Per factor, below which spread of shares no split can be that keeps patients
            together: one patient may hold most of the images with a rare value.
        melanomas: Per factor, the number of a fold's melanomas with each value (row: value, column:
            fold). The bins of patient size are a factor too.
        melanoma_floors: Per factor, below which spread of these numbers no split can be that keeps
            patients together: one patient may have many melanomas.
        n_unknown_pairs: Pairs of a list of duplicates that name images which are not in the table.
    """

    per_fold: pd.DataFrame
    split_patients: list[str]
    left_out: int
    strata_deviation: float
    shares: dict[str, pd.DataFrame]
    share_floors: dict[str, float]
    melanomas: dict[str, pd.DataFrame]
    melanoma_floors: dict[str, int]
    n_unknown_pairs: int = 0

    def share_spread(self, factor: str) -> float:
        """The largest minus the smallest share over folds, of the worst value, in points."""
        shares = self.shares[factor]
        return float(np.ptp(shares.to_numpy(), axis=1).max())

    def melanoma_spread(self, factor: str) -> int:
        """The largest minus the smallest number of melanomas over folds, of the worst value."""
        counts = self.melanomas[factor].to_numpy()
        return int(np.ptp(counts, axis=1).max(initial=0))

    def as_text(self) -> str:
        """The figures for the terminal."""
        spreads = [self._spread_as_text(name) for name in self.shares if name != TARGET]
        lines = [
            self.per_fold.to_string(index=False),
            f"patients in two folds: {len(self.split_patients)}",
            f"patient-size strata, worst deviation: {self.strata_deviation:.1f} %",
        ]
        if spreads:
            lines.append(f"share of each value, spread in percentage points: {', '.join(spreads)}")
        melanomas = ", ".join(self._melanomas_as_text(name) for name in self.melanomas)
        lines.append(f"melanomas with each value, spread: {melanomas}")
        if self.left_out:
            lines.append(f"images in no fold: {self.left_out}")
        if self.n_unknown_pairs:
            lines.append(f"pairs of duplicates that name other images: {self.n_unknown_pairs}")
        return "\n".join(lines)

    def _spread_as_text(self, factor: str) -> str:
        spread, floor = self.share_spread(factor), self.share_floors[factor]
        bound = f" (one patient alone makes {floor:.2f})" if 0.05 < floor <= spread else ""
        return f"{SHORT_NAMES.get(factor, factor)} {spread:.2f}{bound}"

    def _melanomas_as_text(self, factor: str) -> str:
        spread, floor = self.melanoma_spread(factor), self.melanoma_floors[factor]
        # A floor of one only says that the folds do not divide the melanomas.
        bound = f" (one patient alone makes {floor})" if 1 < floor <= spread else ""
        return f"{SHORT_NAMES.get(factor, factor)} {spread}{bound}"

    def leaks_as_text(self) -> str:
        """The patients in two folds, the first five by name; empty where there are none."""
        if not self.split_patients:
            return ""
        return f"LEAK: patients in two folds: {name_some(self.split_patients)}"


def judge_folds(
    train: pd.DataFrame,
    folds: npt.NDArray[np.int64],
    groups: Groups,
    balance_on: Sequence[str] = (),
) -> Balance:
    """Judge a split.

    Args:
        train: A row per image, as in `assign_folds`.
        folds: Shape (n_images,), the fold of each row; negative where it is in none.
        groups: Shape (n_images,), who belongs together.
        balance_on: Further columns to judge the balance of.
    """
    inside = folds >= 0
    rows, fold, group = train[inside], folds[inside], groups[inside]
    factors = factors_of(rows, balance_on)
    shares = {
        str(name): 100 * pd.crosstab(factors[name], fold, normalize="columns") for name in factors
    }
    melanoma = (rows[TARGET] == 1).to_numpy()
    crossed = _crossed_factors(factors, group)[melanoma]
    return Balance(
        per_fold=_per_fold(rows, fold),
        split_patients=_split_patients(rows, fold, group),
        left_out=int((~inside).sum()),
        strata_deviation=_strata_deviation(fold, group),
        shares=shares,
        share_floors={str(name): _share_floor(factors[name], fold, group) for name in factors},
        melanomas={
            str(name): _count_values(crossed[name], fold[melanoma], np.unique(fold))
            for name in crossed
        },
        melanoma_floors={
            str(name): _count_floor(crossed[name], group[melanoma], len(np.unique(fold)))
            for name in crossed
        },
    )


def _crossed_factors(factors: pd.DataFrame, group: Groups) -> pd.DataFrame:
    """The factors by which melanomas are counted."""
    members = np.unique(group, return_inverse=True)[1]
    strata = size_strata(np.bincount(members))[members]
    return factors.drop(columns=TARGET).assign(**{PATIENT_SIZE: strata})


def _count_values(
    values: "pd.Series[str]", fold: npt.NDArray[np.int64], folds: npt.NDArray[np.int64]
) -> pd.DataFrame:
    return pd.crosstab(values, fold).reindex(columns=folds, fill_value=0)


def _count_floor(values: "pd.Series[str]", group: Groups, n_folds: int) -> int:
    indivisible = (values.value_counts() % n_folds).any()
    return max(_excess(values, group, n_folds), int(indivisible))


def _share_floor(factor: "pd.Series[str]", fold: npt.NDArray[np.int64], group: Groups) -> float:
    excess = _excess(factor, group, len(np.unique(fold)))
    return 100 * excess / int(np.bincount(fold).max())


def _excess(values: "pd.Series[str]", group: Groups, n_folds: int) -> int:
    """By how many rows two folds differ at least where one patient has most rows with a value."""
    if n_folds < 2:
        return 0
    rows = pd.DataFrame({"value": values.to_numpy(), "group": group})
    per_group = rows.groupby("value")["group"].value_counts()
    by_value = per_group.groupby("value")
    # The fold with the least has at most an even share of the rest, and nothing where fewer
    # patients than folds have the value.
    rest = (by_value.sum() - by_value.max()) // (n_folds - 1)
    rest = rest.where(by_value.size() >= n_folds, 0)
    return int((by_value.max() - rest).to_numpy().max(initial=0))


def _per_fold(rows: pd.DataFrame, fold: npt.NDArray[np.int64]) -> pd.DataFrame:
    table = pd.DataFrame(
        {FOLD: fold, PATIENT_ID: patients_of(rows).to_numpy(), TARGET: rows[TARGET].to_numpy()}
    )
    balance = table.groupby(FOLD).agg(
        images=(TARGET, "size"), patients=(PATIENT_ID, "nunique"), melanomas=(TARGET, "sum")
    )
    balance["melanoma_share"] = (100 * balance["melanomas"] / balance["images"]).round(2)
    return balance.reset_index()


def _split_patients(rows: pd.DataFrame, fold: npt.NDArray[np.int64], group: Groups) -> list[str]:
    n_folds = pd.Series(fold).groupby(group).transform("nunique").to_numpy()
    names = patients_of(rows).to_numpy()[n_folds > 1]
    first_of_group = pd.Series(names).groupby(group[n_folds > 1]).min()
    return sorted(first_of_group)


def _strata_deviation(fold: npt.NDArray[np.int64], group: Groups) -> float:
    patients = pd.DataFrame({"group": group, "fold": fold, "size": patient_sizes(group)})
    patients = patients.drop_duplicates(["group", "fold"])
    if patients["size"].nunique() < 2:
        return 0.0
    strata = pd.qcut(patients["size"], _SIZE_STRATA, duplicates="drop")
    counts = pd.crosstab(strata, patients["fold"])
    means = counts.mean(axis=1)
    deviation = counts.sub(means, axis=0).abs().div(means, axis=0)
    return 100 * float(deviation.to_numpy().max())
