import pandas as pd
import pytest

from melanoma.errors import ConfigError
from melanoma.folds.factors import factor_codes, factors_of


def test_ages_are_bands_and_missing_is_a_value() -> None:
    images = pd.DataFrame(
        {"target": [0, 1, 0], "age_approx": [39.0, 40.0, None], "sex": ["m", None, "f"]}
    )
    factors = factors_of(images)
    assert factors["age_approx"].tolist() == ["30-39", "40-49", "missing"]
    assert factors["sex"].tolist() == ["m", "missing", "f"]
    assert [codes.tolist() for codes in factor_codes(factors)] == [[0, 1, 0], [1, 2, 0], [0, 1, 2]]


def test_many_numbers_become_quantile_bands_and_few_stay() -> None:
    images = pd.DataFrame({"target": [0] * 80, "width": range(80), "device": [1, 2] * 40})
    factors = factors_of(images, ["width", "device"])
    assert factors["width"].nunique() == 8
    assert factors["width"].value_counts().tolist() == [10] * 8
    assert factors["device"].nunique() == 2


def test_a_column_that_is_not_there_is_named() -> None:
    with pytest.raises(ConfigError, match="--balance-on width"):
        factors_of(pd.DataFrame({"target": [0]}), ["width"])


def test_a_column_of_too_many_values_is_refused() -> None:
    names = [f"i{number}" for number in range(2000)]
    images = pd.DataFrame({"image_name": names, "target": 0, "comment": names})
    with pytest.raises(ConfigError, match=r"--balance-on comment: has 2,000 values in 2,000 rows"):
        factors_of(images, ["comment"])
    assert factors_of(images.assign(number=range(2000)), ["number"])["number"].nunique() == 8
