from pathlib import Path
from typing import Any

import pytest

from melanoma.ensemble.options import Options, check_options
from melanoma.errors import ConfigError

A, B, C = Path("runs/a"), Path("runs/b"), Path("runs/c")


def check(**given: Any) -> Options:
    nothing = {"run_dir": (), "oof": (), "submissions": (), "weights": ()}
    return check_options(**{**nothing, "method": "mean", "context": False, **given})


def test_the_order_in_which_things_are_given_makes_no_difference() -> None:
    assert check(run_dir=[B, A, C], weights=[2, 1, 3]) == check(
        run_dir=[A, B, C], weights=[1, 2, 3]
    )
    pairs = check(oof=[B, A], submissions=[Path("1"), Path("2")], weights=[5, 6])
    assert pairs == check(oof=[A, B], submissions=[Path("2"), Path("1")], weights=[6, 5])
    assert pairs.submissions == (Path("2"), Path("1"))
    both = check(run_dir=[C, B], oof=[A], weights=[3, 2, 1])
    assert (both.run_dir, both.oof, both.weights) == ((B, C), (A,), (2, 3, 1))
    alone = check(submissions=[B, A], weights=[2, 1])
    assert (alone.submissions, alone.weights) == ((A, B), (1, 2))


def test_results_go_into_the_folder_of_an_only_run() -> None:
    assert check(run_dir=[A]).out_dir() == A
    for several in ({"run_dir": [A, B]}, {"oof": [A]}, {"run_dir": [A], "oof": [B]}):
        assert check(**several).out_dir() == Path("runs/blend")


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({}, "nothing to blend. Give --run-dir"),
        ({"run_dir": [A, A]}, "--run-dir: runs/a given twice"),
        ({"oof": [A, B, B]}, "--oof: runs/b given twice"),
        ({"submissions": [A, A]}, "--submissions: runs/a given twice"),
        ({"oof": [A, B], "submissions": [C]}, "--oof names 2 tables and --submissions 1: give one"),
        ({"run_dir": [A], "submissions": [B]}, "--submissions cannot join runs without knowing"),
        (
            {"submissions": [A, B], "method": "best"},
            "--method best is fitted to out-of-fold predictions, which --submissions lack",
        ),
        ({"submissions": [A, B], "method": "stack"}, "--method stack is fitted to out-of-fold"),
        ({"submissions": [A, B], "context": True}, "--context is fitted to out-of-fold"),
        ({"run_dir": [A, B], "weights": [1]}, "--weights has 1 numbers for 2 to blend. Give one"),
        ({"submissions": [A, B], "weights": [1, 2, 3]}, "--weights has 3 numbers for 2 to blend"),
        (
            {"run_dir": [A, B], "weights": [1, -2]},
            "--weights: -2 is no weight. Give numbers from 0",
        ),
        ({"run_dir": [A, B], "weights": [1, float("nan")]}, "--weights: nan is no weight"),
        ({"run_dir": [A, B], "weights": [1, float("inf")]}, "--weights: inf is no weight"),
        ({"run_dir": [A, B], "weights": [0, 0]}, "--weights: all of them are 0"),
        (
            {"run_dir": [A, B], "weights": [1, 2], "method": "weighted"},
            "--weights cannot be given to --method weighted, which fits its own",
        ),
        ({"run_dir": [A, B], "weights": [1, 2], "method": "best"}, "--weights cannot be given"),
    ],
)
def test_what_cannot_be_is_said(given: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        check(**given)
