import numpy as np
import pandas as pd
import pytest

from melanoma.errors import TableError
from melanoma.metadata import MetadataStatistics

TRAIN = pd.DataFrame(
    {
        "image_name": list("abcd"),
        "patient_id": ["p", "p", "q", "r"],
        "sex": ["male", "female", None, "male"],
        "age_approx": [20.0, 40.0, None, 60.0],
        "anatom_site_general_challenge": ["torso", None, "torso", "head/neck"],
    }
)


def test_the_numbers_by_hand() -> None:
    statistics = MetadataStatistics.fit(TRAIN)
    assert statistics.sexes == ["female", "male"]
    assert statistics.age_mean == 40.0
    numbers = statistics.transform(TRAIN)
    assert numbers.shape == (4, statistics.n_features) == (4, 8)
    assert numbers[0, :4].tolist() == [0, 1, 0, 1]
    assert numbers[0, 4:6].tolist() == pytest.approx([1, -20 / np.std([20, 40, 60])])
    assert numbers[2, 4:6].tolist() == [0, 0]
    assert numbers[0, 7] > numbers[2, 7]


def test_all_missing_is_all_zeros_but_for_the_count() -> None:
    row = pd.DataFrame({"image_name": ["x"]})
    assert not MetadataStatistics.fit(TRAIN).transform(row).any()


def test_values_never_seen_in_training_are_missing_ones() -> None:
    new = TRAIN.iloc[:1].assign(sex="other", anatom_site_general_challenge="tail")
    assert not MetadataStatistics.fit(TRAIN).transform(new)[0, :4].any()


def test_statistics_survive_a_checkpoint() -> None:
    statistics = MetadataStatistics.fit(TRAIN)
    assert MetadataStatistics.from_dict(vars(statistics).copy()) == statistics


def test_what_is_not_there_or_no_number_is_named() -> None:
    with pytest.raises(TableError, match="none of the columns sex, age_approx"):
        MetadataStatistics.fit(TRAIN[["image_name"]])
    with pytest.raises(
        TableError, match=r"age_approx: 'old' is not a number of years \(1 such rows\)"
    ):
        MetadataStatistics.fit(TRAIN.assign(age_approx=["old", "3", "5", "4"]))
