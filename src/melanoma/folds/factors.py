"""What folds are balanced on: each factor gives every image one value, missing being one of them."""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import pandas as pd

from melanoma.errors import ConfigError, suggest
from melanoma.tables import AGE, DIAGNOSIS, SEX, SITE, TARGET

MISSING = "missing"

# What people call the columns.
SHORT_NAMES = {AGE: "age", SITE: "site"}

_AGE_BAND_YEARS = 10
# A column of more different numbers than this is cut into quantile bands.
_MOST_VALUES = 20
_BANDS = 8
# A column of text with more values is an identifier, or a sentence: nothing that folds could share. A
# table of values by folds, and by groups, is made of each.
_MOST_TEXTS = 1000


def factors_of(images: pd.DataFrame, balance_on: Sequence[str] = ()) -> pd.DataFrame:
    """The factors a table of images has, the most important first.

    Args:
        images: A row per image, with target and any of sex, age, site and diagnosis.
        balance_on: Further columns; one of many different numbers is cut into eight quantile bands.

    Returns:
        A row per image and a column per factor, values as text. Ages are bands of ten years.

    Raises:
        ConfigError: If a further column is not there, or has too many values to be shared.
    """
    absent = [column for column in balance_on if column not in images.columns]
    if absent:
        known = [str(column) for column in images.columns]
        raise ConfigError(
            f"--balance-on {absent[0]}: train.csv has no such column, but {', '.join(known)}."
            f"{suggest(absent[0], known)}"
        )
    factors = {TARGET: images[TARGET].astype("str")}
    for column in (SEX, SITE, AGE, DIAGNOSIS):
        if column in images.columns:
            factors[column] = _age_bands(images[AGE]) if column == AGE else _text(images[column])
    for column in balance_on:
        factors.setdefault(column, _banded(images[column]))
        n_values = factors[column].nunique()
        if n_values > _MOST_TEXTS:
            raise ConfigError(
                f"--balance-on {column}: has {n_values:,} values in {len(images):,} rows, more than "
                f"folds can share ({_MOST_TEXTS:,}). Choose a column of few values, or of numbers."
            )
    return pd.DataFrame(factors)


def factor_codes(factors: pd.DataFrame) -> list[npt.NDArray[np.int64]]:
    """Each factor as codes from 0, in the order of its sorted values."""
    return [pd.factorize(factors[name], sort=True)[0].astype(np.int64) for name in factors.columns]


def patient_sizes(groups: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    """How many images the group of each image has."""
    sizes: npt.NDArray[np.int64] = np.bincount(groups)[groups]
    return sizes


def _text(column: "pd.Series[str]") -> "pd.Series[str]":
    return column.astype("str").where(column.notna(), MISSING)


def _age_bands(ages: "pd.Series[float]") -> "pd.Series[str]":
    lowest = pd.to_numeric(ages, errors="coerce") // _AGE_BAND_YEARS * _AGE_BAND_YEARS
    # Codes first: a million rows have a dozen bands.
    codes, bands = pd.factorize(lowest)
    names = np.array([f"{band:.0f}-{band + _AGE_BAND_YEARS - 1:.0f}" for band in bands] + [MISSING])
    return pd.Series(names[codes], index=ages.index)


def _banded(column: "pd.Series[str]") -> "pd.Series[str]":
    numbers = pd.to_numeric(column, errors="coerce")
    if numbers.nunique() <= _MOST_VALUES or numbers.notna().sum() < column.notna().sum():
        return _text(column)
    return _text(pd.qcut(numbers, _BANDS, duplicates="drop").astype("str").where(numbers.notna()))
