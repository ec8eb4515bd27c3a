import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from melanoma.ensemble.repeats import Repeat, VarianceParts, repeat_of, split_variance


def repeats_of(n_columns: int, n_seeds: int) -> list[Repeat]:
    return [Repeat("a", s, f"fold_{c}", "f") for c in range(n_columns) for s in range(n_seeds)]


@pytest.mark.parametrize(("seeds", "folds"), [(0.01, 0.0), (0.004, 0.012), (0.0, 0.01)])
def test_the_parts_are_recovered_on_average(seeds: float, folds: float) -> None:
    random = np.random.default_rng(0)
    repeats = repeats_of(4, 3)
    found = []
    for _ in range(300):
        aucs = 0.9 + folds * np.repeat(random.normal(size=4), 3) + seeds * random.normal(size=12)
        parts = split_variance([""] * 12, aucs.tolist(), repeats, [1e-4] * 12)
        found.append((parts.seeds or 0.0, parts.folds or 0.0))
    means = np.mean(found, axis=0)
    assert means[0] == pytest.approx(seeds**2, rel=0.15, abs=1e-12)
    # A negative estimate is 0, which lifts the mean where there is nothing.
    assert means[1] == pytest.approx(folds**2, rel=0.15, abs=2e-5)


@given(st.lists(st.floats(0, 1), min_size=2, max_size=9), st.data())
def test_what_cannot_be_told_apart_is_not(aucs: list[float], data: st.DataObject) -> None:
    columns = data.draw(st.lists(st.integers(0, 3), min_size=len(aucs), max_size=len(aucs)))
    repeats = [Repeat("a", place, f"fold_{c}", "f") for place, c in enumerate(columns)]
    parts = split_variance([""] * len(aucs), aucs, repeats, [1e-4] * len(aucs))
    counts = np.unique(columns, return_counts=True)[1]
    assert (parts.seeds is None) == (counts.max() == 1)
    assert (parts.folds is None) == (len(counts) == 1)
    assert parts.repeatable >= 0
    names = [name for name, *_ in parts.rows()]
    assert ("folds and seeds" in names) == (parts.seeds is None)


@given(st.floats(0, 1), st.floats(0, 1), st.floats(1e-6, 1))
def test_repeats_halve_the_variance_and_one_fewer_do_not(
    seeds: float, folds: float, patients: float
) -> None:
    parts = VarianceParts(["a", "b"], seeds, folds, patients)
    half = (parts.repeatable + patients) / 2
    n = parts.repeats_to_halve
    if n is None:
        assert patients >= half
        assert "no number of repeats" in parts.advice()
        return
    assert patients + parts.repeatable / n <= half * (1 + 1e-6)
    assert n == 1 or patients + parts.repeatable / (n - 1) >= half * (1 - 1e-6)
    assert f"the mean of {n} repeats" in parts.advice()


def test_a_recipe_is_all_but_the_seed_and_the_fold_column() -> None:
    config = {"seed": 1, "run_dir": "a", "model": {"dropout": 0.1}, "data": {"folds_csv": "f.csv"}}
    one = repeat_of(config, "f")
    data = {"folds_csv": "elsewhere/f.csv", "fold_column": "fold_1"}
    other = repeat_of(config | {"seed": 2, "run_dir": "b", "data": data}, "f")
    assert one.recipe == other.recipe
    assert (one.seed, one.column) == (1, "fold")
    assert (other.seed, other.column) == (2, "fold_1")
    assert repeat_of(config | {"model": {"dropout": 0.2}}, "f").recipe != one.recipe


def test_scores_that_do_not_vary_have_no_shares() -> None:
    parts = VarianceParts(["a", "b"], 0.0, None, 0.0)
    assert parts.rows() == [("seeds", 0.0, 0.0), ("patients", 0.0, 0.0), ("one run", 0.0, 0.0)]
    assert parts.advice() == "their scores do not vary."
