import numpy as np
import pandas as pd
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from melanoma.errors import ConfigError
from melanoma.folds.assignment import Scheme, assign_folds
from melanoma.folds.balance import judge_folds
from melanoma.folds.groups import join_groups

rows = st.lists(st.tuples(st.integers(0, 25), st.booleans()), min_size=12, max_size=150)


def table_of(rows: list[tuple[int, bool]]) -> pd.DataFrame:
    return pd.DataFrame(
        {
            "image_name": [f"I{row:03d}" for row in range(len(rows))],
            "patient_id": [f"P{patient}" for patient, _ in rows],
            "target": [int(target) for _, target in rows],
        }
    )


def rich_table(n_images: int = 300) -> pd.DataFrame:
    random = np.random.default_rng(0)
    train = table_of([(row // 4, random.random() < 0.3) for row in range(n_images)])
    train["sex"] = np.where(random.random(n_images) < 0.4, "male", "female")
    train["age_approx"] = random.integers(4, 18, n_images) * 5.0
    train["anatom_site_general_challenge"] = random.choice(["torso", "head/neck", ""], n_images)
    return train


@pytest.mark.parametrize("scheme", ["balanced", "grouped"])
@settings(max_examples=40)
@given(rows, st.integers(2, 5), st.integers(0, 3))
def test_no_patient_is_ever_on_two_sides(
    scheme: Scheme, rows: list[tuple[int, bool]], n_folds: int, seed: int
) -> None:
    train = table_of(rows)
    try:
        folds = assign_folds(train, n_folds, seed, scheme)
    except ConfigError:
        assume(False)
    assert pd.Series(folds).groupby(train["patient_id"]).nunique().max() == 1
    assert set(folds) == set(range(n_folds))
    assert all(train["target"][folds == fold].nunique() == 2 for fold in range(n_folds))


@pytest.mark.parametrize("scheme", ["balanced", "grouped", "stratified"])
def test_the_seed_decides(scheme: Scheme) -> None:
    train = rich_table()
    first, again, other = (assign_folds(train, 5, seed, scheme) for seed in (1, 1, 2))
    assert np.array_equal(first, again)
    assert not np.array_equal(first, other)


@settings(max_examples=15)
@given(st.randoms(use_true_random=False))
def test_balanced_folds_depend_on_neither_rows_nor_patients_names(random: object) -> None:
    train = rich_table(120)
    folds = assign_folds(train, 3, 0).tolist()
    order = list(range(len(train)))
    random.shuffle(order)  # type: ignore[attr-defined]
    names = train["patient_id"].unique().tolist()
    shuffled = list(names)
    random.shuffle(shuffled)  # type: ignore[attr-defined]
    relabelled = train.assign(patient_id=train["patient_id"].map(dict(zip(names, shuffled))))
    moved = assign_folds(relabelled.iloc[order].reset_index(drop=True), 3, 0).tolist()
    assert moved == [folds[row] for row in order]


def test_balanced_folds_are_even_in_everything() -> None:
    train = rich_table(1200)
    groups = join_groups(train)
    ours = judge_folds(train, assign_folds(train, 5, 0), groups)
    theirs = judge_folds(train, assign_folds(train, 5, 0, "grouped"), groups)
    counts = ours.per_fold[["images", "patients", "melanomas"]]
    assert ((counts.max() - counts.min()) <= [4, 1, 1]).all()
    for factor in ("sex", "age_approx", "anatom_site_general_challenge"):
        assert ours.share_spread(factor) < 0.5 * theirs.share_spread(factor)


def test_further_columns_are_balanced_when_asked_for() -> None:
    train = rich_table(1200)
    # A device is used for whole runs of patients.
    train["device"] = np.where(np.arange(1200) // 8 % 3 == 0, "a", "b")
    groups = join_groups(train)
    with_it, without = (
        judge_folds(train, assign_folds(train, 5, 0, balance_on=asked), groups, ["device"])
        for asked in (["device"], [])
    )
    assert with_it.share_spread("device") < 1.0
    assert with_it.share_spread("device") < without.share_spread("device")


def test_two_columns_are_enough() -> None:
    train = table_of([(0, row % 2 == 0) for row in range(20)]).drop(columns="patient_id")
    folds = assign_folds(train, 5, 0)
    assert np.bincount(folds).tolist() == [4] * 5
    assert np.bincount(folds, weights=train["target"]).tolist() == [2] * 5


def test_a_giant_patient_fills_a_fold_and_leaks_nowhere() -> None:
    others = [(1 + row // 3, row % 4 == 0) for row in range(90)]
    train = table_of([(0, row % 10 == 0) for row in range(100)] + others)
    folds = assign_folds(train, 3, 0)
    assert len(set(folds[:100])) == 1
    sizes = np.bincount(folds)
    assert sizes.min() >= 25


def test_joined_patients_stay_together() -> None:
    train = rich_table(120)
    pairs = pd.DataFrame({"image_name_1": ["I000", "I004"], "image_name_2": ["I004", "I100"]})
    groups = join_groups(train, pairs)
    for seed in range(5):
        folds = assign_folds(train, 3, seed, groups=groups)
        assert len({folds[0], folds[4], folds[100]}) == 1


def test_stratified_folds_are_even_and_leak() -> None:
    train = table_of([(row // 4, row % 5 == 0) for row in range(400)])
    balance = judge_folds(train, assign_folds(train, 5, 0, "stratified"), join_groups(train))
    assert balance.per_fold["melanomas"].tolist() == [16] * 5
    assert len(balance.split_patients) > 50


@pytest.mark.parametrize(
    ("rows", "n_folds", "scheme", "message"),
    [
        ([(0, True), (1, False)], 1, "balanced", r"--n-folds 1: .* at least 2 folds"),
        ([(0, True), (1, False)], 2, "random", r"--scheme random: not known. Choose balanced, gr"),
        ([(0, True)] * 9 + [(1, False)] * 9, 2, "grouped", r"only 1 patients with a melanoma"),
        ([(n, n < 3) for n in range(20)], 5, "balanced", r"only 3 patients .* Choose --n-folds 3"),
        ([(n, n > 3) for n in range(20)], 5, "stratified", r"only 4 images with a benign"),
        ([(n, False) for n in range(20)], 5, "balanced", r"only 0 patients .* Check the target"),
    ],
)
def test_folds_that_cannot_be_made_are_refused(
    rows: list[tuple[int, bool]], n_folds: int, scheme: Scheme, message: str
) -> None:
    with pytest.raises(ConfigError, match=message):
        assign_folds(table_of(rows), n_folds, 0, scheme)


def test_only_balanced_folds_balance_further_columns() -> None:
    with pytest.raises(
        ConfigError, match=r"--balance-on: --scheme grouped balances the target only"
    ):
        assign_folds(rich_table(), 5, 0, "grouped", balance_on=["sex"])
    with pytest.raises(
        ConfigError, match=r"--balance-on sexe: .* no such column.* Did you mean sex"
    ):
        assign_folds(rich_table(), 5, 0, balance_on=["sexe"])


@settings(max_examples=25)
@given(
    n_folds=st.integers(2, 6),
    share=st.floats(0.52, 0.9),
    seed=st.integers(0, 9),
    shuffle=st.booleans(),
)
def test_a_patient_with_most_images_has_a_fold_alone(
    n_folds: int, share: float, seed: int, shuffle: bool
) -> None:
    n_images = 160
    n_hers = round(share * n_images)
    others = np.arange(n_images - n_hers) // 2
    train = pd.DataFrame(
        {
            "image_name": [f"i{row}" for row in range(n_images)],
            "patient_id": ["HERS"] * n_hers + [f"p{number}" for number in others],
            "target": (np.arange(n_images) % 2).tolist(),
        }
    )
    if shuffle:
        train = train.sample(frac=1, random_state=seed).reset_index(drop=True)
    folds = pd.Series(assign_folds(train, n_folds, seed))
    hers = folds[train["patient_id"] == "HERS"].unique()
    assert len(hers) == 1
    assert set(train.loc[folds == hers[0], "patient_id"]) == {"HERS"}
    left = folds[train["patient_id"] != "HERS"]
    assert set(left) == set(range(n_folds)) - set(hers)
    assert left.value_counts().max() - left.value_counts().min() <= 4
