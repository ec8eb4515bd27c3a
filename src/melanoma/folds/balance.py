"""How good a split is: what leaks, and how even its folds are. Pure functions of tables."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pandas as pd

from melanoma.errors import name_some
from melanoma.folds.factors import SHORT_NAMES, factors_of, patient_sizes
from melanoma.folds.groups import Groups
from melanoma.tables import FOLD, PATIENT_ID, TARGET, patients_of

# Patients are cut into so many quantile bins by their number of images.
_SIZE_STRATA = 8


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
        n_unknown_pairs: Pairs of a list of duplicates that name images which are not in the table.
    """

    per_fold: pd.DataFrame
    split_patients: list[str]
    left_out: int
    strata_deviation: float
    shares: dict[str, pd.DataFrame]
    share_floors: dict[str, float]
    n_unknown_pairs: int = 0

    def share_spread(self, factor: str) -> float:
        """The largest minus the smallest share over folds, of the worst value, in points."""
        shares = self.shares[factor]
        return float(np.ptp(shares.to_numpy(), axis=1).max())

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
        if self.left_out:
            lines.append(f"images in no fold: {self.left_out}")
        if self.n_unknown_pairs:
            lines.append(f"pairs of duplicates that name other images: {self.n_unknown_pairs}")
        return "\n".join(lines)

    def _spread_as_text(self, factor: str) -> str:
        spread, floor = self.share_spread(factor), self.share_floors[factor]
        bound = f" (one patient alone makes {floor:.2f})" if 0.05 < floor <= spread else ""
        return f"{SHORT_NAMES.get(factor, factor)} {spread:.2f}{bound}"

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
    return Balance(
        per_fold=_per_fold(rows, fold),
        split_patients=_split_patients(rows, fold, group),
        left_out=int((~inside).sum()),
        strata_deviation=_strata_deviation(fold, group),
        shares=shares,
        share_floors={str(name): _share_floor(factors[name], fold, group) for name in factors},
    )


def _share_floor(factor: "pd.Series[str]", fold: npt.NDArray[np.int64], group: Groups) -> float:
    n_folds = len(np.unique(fold))
    if n_folds < 2:
        return 0.0
    counts = pd.DataFrame({"value": factor.to_numpy(), "group": group}).groupby("value")["group"]
    per_group = counts.value_counts()
    largest = per_group.groupby("value").max()
    # The fold with the least has at most an even share of the rest, and nothing where fewer
    # patients than folds have the value.
    rest = (per_group.groupby("value").sum() - largest) // (n_folds - 1)
    rest = rest.where(per_group.groupby("value").size() >= n_folds, 0)
    excess = int((largest - rest).to_numpy().max())
    return max(0.0, 100 * excess / int(np.bincount(fold).max()))


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
