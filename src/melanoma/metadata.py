"""Sex, age, site and number of a patient's images as numbers for a network.

The statistics are fitted on the training folds alone and travel in the checkpoint.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from melanoma.errors import TableError
from melanoma.tables import AGE, PATIENT_ID, SEX, SITE, patients_of

MetadataArray = npt.NDArray[np.float32]


@dataclass(frozen=True)
class MetadataStatistics:
    """What turns rows of a table into numbers.

    Attributes:
        sexes, sites: The values seen in training, sorted; another, or none, is all zeros.
        age_mean, age_std: In years.
        count_mean, count_std: Of the logarithm of one plus the patient's number of images.
    """

    sexes: list[str]
    sites: list[str]
    age_mean: float
    age_std: float
    count_mean: float
    count_std: float

    @classmethod
    def fit(cls, table: pd.DataFrame) -> "MetadataStatistics":
        """The statistics of the training images.

        Args:
            table: A row per training image with any of sex, age, site and patient.

        Raises:
            TableError: If none of these columns is there, or ages are no numbers.
        """
        if not {SEX, AGE, SITE, PATIENT_ID} & set(table.columns):
            raise TableError(
                f"train.csv: none of the columns {SEX}, {AGE}, {SITE}, {PATIENT_ID} is there, which "
                "--model.metadata true uses. Add one, or train without metadata."
            )
        age_mean, age_std = _moments(_ages(table))
        count_mean, count_std = _moments(_log_counts(table))
        return cls(
            _values(table, SEX), _values(table, SITE), age_mean, age_std, count_mean, count_std
        )

    @classmethod
    def from_dict(cls, content: dict[str, Any]) -> "MetadataStatistics":
        """From a checkpoint's hyperparameters."""
        return cls(**content)

    @property
    def n_features(self) -> int:
        """How many numbers an image gets: one per sex and site, and four for age and count."""
        return len(self.sexes) + len(self.sites) + 4

    def transform(self, table: pd.DataFrame) -> MetadataArray:
        """The numbers of each image, shape (n_images, n_features); all zeros is all missing."""
        one_hot = [
            (_text(table, column) == value).to_numpy()
            for column, values in [(SEX, self.sexes), (SITE, self.sites)]
            for value in values
        ]
        numbers: list[npt.NDArray[Any]] = []
        for values, mean, std in [
            (_ages(table), self.age_mean, self.age_std),
            (_log_counts(table), self.count_mean, self.count_std),
        ]:
            known = ~np.isnan(values)
            numbers += [known, np.where(known, (values - mean) / std, 0.0)]
        return np.stack([*one_hot, *numbers], axis=1).astype(np.float32)


def _text(table: pd.DataFrame, column: str) -> "pd.Series[str]":
    if column not in table.columns:
        return pd.Series("", index=table.index)
    return table[column].fillna("").astype("str").str.strip().str.lower()


def _values(table: pd.DataFrame, column: str) -> list[str]:
    return sorted(set(_text(table, column)) - {""})


def _ages(table: pd.DataFrame) -> npt.NDArray[np.float64]:
    if AGE not in table.columns:
        return np.full(len(table), np.nan)
    ages = pd.to_numeric(table[AGE], errors="coerce")
    wrong = table.loc[ages.isna() & table[AGE].notna(), AGE]
    if len(wrong):
        raise TableError(
            f"column {AGE}: {wrong.iloc[0]!r} is not a number of years ({len(wrong)} such rows). "
            "Correct them or leave them empty."
        )
    return ages.to_numpy(dtype=np.float64, na_value=np.nan)


def _log_counts(table: pd.DataFrame) -> npt.NDArray[np.float64]:
    if PATIENT_ID not in table.columns:
        return np.full(len(table), np.nan)
    patients = patients_of(table)
    return np.asarray(np.log1p(patients.map(patients.value_counts()).to_numpy(dtype=np.float64)))


def _moments(values: npt.NDArray[np.float64]) -> tuple[float, float]:
    known = values[~np.isnan(values)]
    if len(known) == 0:
        return 0.0, 1.0
    return float(known.mean()), float(known.std()) or 1.0
