import numpy as np
import pandas as pd
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from melanoma.errors import ConfigError
from melanoma.folds import Scheme, assign_folds, balance_table, patients_in_two_folds

rows = st.lists(st.tuples(st.integers(0, 25), st.booleans()), min_size=12, max_size=150)


def table_of(rows: list[tuple[int, bool]]) -> pd.DataFrame:
    return pd.DataFrame(
        {
            "image_name": [f"I{row}" for row in range(len(rows))],
            "patient_id": [f"P{patient}" for patient, _ in rows],
            "target": [int(target) for _, target in rows],
        }
    )


@given(rows, st.integers(2, 5), st.integers(0, 3))
def test_no_patient_is_ever_on_two_sides(
    rows: list[tuple[int, bool]], n_folds: int, seed: int
) -> None:
    train = table_of(rows)
    try:
        folds = assign_folds(train, n_folds, seed, "grouped")
    except ConfigError:
        assume(False)
    assert patients_in_two_folds(train, folds) == []
    assert set(folds) == set(range(n_folds))
    assert all(train["target"][folds == fold].nunique() == 2 for fold in range(n_folds))


@pytest.mark.parametrize("scheme", ["grouped", "stratified"])
def test_the_seed_decides(scheme: Scheme) -> None:
    random = np.random.default_rng(0)
    train = table_of([(row // 4, random.random() < 0.3) for row in range(400)])
    first, again, other = (assign_folds(train, 5, seed, scheme) for seed in (1, 1, 2))
    assert np.array_equal(first, again)
    assert not np.array_equal(first, other)


def test_stratified_folds_are_even_and_leak() -> None:
    train = table_of([(row // 4, row % 5 == 0) for row in range(400)])
    folds = assign_folds(train, 5, 0, "stratified")
    assert balance_table(train, folds)["melanomas"].tolist() == [16] * 5
    assert len(patients_in_two_folds(train, folds)) > 50


def test_images_without_patients_are_split_one_by_one() -> None:
    train = table_of([(0, row % 2 == 0) for row in range(20)]).assign(patient_id=None)
    assert balance_table(train, assign_folds(train, 5, 0, "grouped"))["images"].tolist() == [4] * 5


def test_the_balance_counts_what_each_fold_holds() -> None:
    train = table_of([(1, True), (1, False), (2, False), (3, True)])
    balance = balance_table(train, np.array([0, 0, 0, 1]))
    assert balance.to_dict("records") == [
        {"fold": 0, "images": 3, "patients": 2, "melanomas": 1, "melanoma_share": 33.33},
        {"fold": 1, "images": 1, "patients": 1, "melanomas": 1, "melanoma_share": 100.0},
    ]


@pytest.mark.parametrize(
    ("rows", "n_folds", "scheme", "message"),
    [
        ([(0, True), (1, False)], 1, "grouped", r"--n-folds 1: .* at least 2 folds"),
        ([(0, True), (1, False)], 2, "random", r"--scheme random: not known. Choose grouped or"),
        ([(0, True)] * 9 + [(1, False)] * 9, 2, "grouped", r"only 1 patients with a melanoma"),
        ([(n, n < 3) for n in range(20)], 5, "grouped", r"only 3 patients .* Choose --n-folds 3"),
        ([(n, n > 3) for n in range(20)], 5, "stratified", r"only 4 images with a benign"),
        ([(n, False) for n in range(20)], 5, "grouped", r"only 0 patients .* Check the target"),
    ],
)
def test_folds_that_cannot_be_made_are_refused(
    rows: list[tuple[int, bool]], n_folds: int, scheme: Scheme, message: str
) -> None:
    with pytest.raises(ConfigError, match=message):
        assign_folds(table_of(rows), n_folds, 0, scheme)
