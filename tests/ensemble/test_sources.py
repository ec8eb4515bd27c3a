from collections.abc import Callable
from dataclasses import replace
from itertools import permutations
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from melanoma.ensemble.repeats import Repeat
from melanoma.ensemble.sources import Source, check_given_once, join_sources, names_of
from melanoma.errors import ConfigError, TableError
from simulated_runs import simulate_runs

Change = Callable[[pd.DataFrame], pd.DataFrame]


def two_sources() -> list[Source]:
    runs = simulate_runs([0.5, 1.0], n_patients=20)
    return [
        Source(
            Path("runs") / name,
            runs.table.assign(prediction=oof),
            runs.test_names,
            test,
        )
        for name, oof, test in zip(runs.names, runs.oof, runs.test)
    ]


def test_sources_are_put_side_by_side() -> None:
    sources = two_sources()
    joined = join_sources(sources)
    assert joined.names == ["run_0", "run_1"]
    assert list(joined.table.columns) == ["image_name", "patient_id", "fold", "target"]
    for number, source in enumerate(sources):
        assert joined.oof[number].tolist() == source.oof["prediction"].tolist()
        assert source.test is not None
        assert joined.test[number].tolist() == source.test.tolist()


def test_the_order_of_rows_changes_nothing() -> None:
    first, second = two_sources()
    assert second.test is not None
    assert second.test_names is not None
    shuffled = replace(
        second,
        oof=second.oof.sample(frac=1, random_state=0).reset_index(drop=True),
        test_names=second.test_names[::-1].reset_index(drop=True),
        test=second.test[:, ::-1],
    )
    expected, joined = join_sources([first, second]), join_sources([first, shuffled])
    assert joined.oof.tolist() == expected.oof.tolist()
    assert joined.test[1].tolist() == expected.test[1].tolist()


def of_patients(source: Source, known: int) -> Source:
    """A source that knows the patients of its first images alone."""
    own = "image:" + source.oof["image_name"]
    rows = np.arange(len(source.oof))
    patients = source.oof["patient_id"].where(rows < known, own)
    return replace(source, oof=source.oof.assign(patient_id=patients))


@pytest.mark.parametrize("order", list(permutations(range(3))))
def test_patients_come_from_whichever_source_knows_them(order: tuple[int, ...]) -> None:
    first, second = two_sources()
    written = (second.oof["patient_id"] + " ").astype("str")
    sources = [
        replace(of_patients(first, 0), path=Path("none.csv")),
        replace(of_patients(first, 30), path=Path("some.csv")),
        replace(second, path=Path("all.csv"), oof=second.oof.assign(patient_id=written)),
    ]
    joined = join_sources([sources[number] for number in order])
    assert joined.patients.tolist() == join_sources([second]).patients.tolist()


def test_sources_that_know_other_patients_are_refused() -> None:
    first, second = two_sources()
    renamed = second.oof["patient_id"].where(second.oof.index != 3, "somebody")
    other = replace(second, oof=second.oof.assign(patient_id=renamed))
    name = second.oof["image_name"].iloc[3]
    with pytest.raises(TableError, match=rf"run_1: patient_id of {name} \(somebody, .* is another"):
        join_sources([first, other])


def test_without_one_test_side_there_is_none() -> None:
    first, second = two_sources()
    joined = join_sources([first, replace(second, test_names=None, test=None)])
    assert joined.test == ()
    assert joined.test_names is None


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            lambda t: t.iloc[3:],
            r"runs/run_1: no prediction for TRAIN_00000, TRAIN_00001, TRAIN_00002 of runs/run_0, out",
        ),
        (
            lambda t: pd.concat([t, t.iloc[:1].assign(image_name="X")]),
            r"runs/run_1: X not in runs/run_0",
        ),
        (
            lambda t: pd.concat([t, t.iloc[:1]]),
            r"runs/run_1: image_name TRAIN_00000 occurs more than once",
        ),
        (
            lambda t: t.assign(fold=(t["fold"] + 1) % 5),
            r"runs/run_1: fold of TRAIN_00000 \(1\), .* is another than in runs/run_0. Blend only",
        ),
        (
            lambda t: t.assign(target=1 - t["target"]),
            r"runs/run_1: target of TRAIN_00000 .* is another than in runs/run_0",
        ),
    ],
)
def test_runs_that_do_not_belong_together_are_named(change: Change, message: str) -> None:
    first, second = two_sources()
    with pytest.raises(TableError, match=message):
        join_sources([first, replace(second, oof=change(second.oof))])


def test_other_test_images_are_named() -> None:
    first, second = two_sources()
    assert second.test_names is not None
    other = replace(second, test_names=second.test_names.replace("TEST_00000", "X"))
    with pytest.raises(
        TableError, match="run_1: no prediction for TEST_00000 of runs/run_0, on test"
    ):
        join_sources([first, other])


def test_names_are_as_short_as_tells_them_apart() -> None:
    assert names_of([Path("runs/a"), Path("runs/b")]) == ["a", "b"]
    assert names_of([Path("runs/a"), Path("old/a")]) == ["runs/a", "old/a"]
    # A run that is called as a method is.
    assert names_of([Path("runs/mean"), Path("runs/b")]) == ["runs/mean", "runs/b"]


def test_one_path_written_in_two_ways_is_given_twice() -> None:
    check_given_once([Path("runs/a"), Path("runs/b")], "--run-dir")
    with pytest.raises(ConfigError, match=r"--run-dir: runs/../runs/a, runs/a given twice"):
        check_given_once([Path("runs/a"), Path("runs/../runs/a")], "--run-dir")


def test_patients_are_numbered_and_an_image_without_one_is_its_own() -> None:
    first, _ = two_sources()
    oof = first.oof.assign(patient_id=first.oof["patient_id"].where(first.oof.index < 0))
    oof.loc[:1, "patient_id"] = "P"
    patients = join_sources([replace(first, oof=oof)]).patients
    assert patients[0] == patients[1]
    assert len(np.unique(patients)) == len(oof) - 1


def on_other_folds(source: Source, column: str = "fold_1", file: str = "f") -> Source:
    """The same run on another column of the fold file."""
    oof = source.oof.assign(fold=(source.oof["fold"] * 2 + 1) % 5)
    return replace(source, oof=oof, repeat=Repeat("recipe", 0, column, file))


def test_repeats_of_a_cross_validation_are_put_side_by_side() -> None:
    first, second = two_sources()
    first = replace(first, repeat=Repeat("recipe", 0, "fold", "f"))
    joined = join_sources([first, on_other_folds(second)])
    assert joined.table["fold"].tolist() == first.oof["fold"].tolist()
    assert joined.own_folds[1].tolist() == on_other_folds(second).oof["fold"].tolist()


@pytest.mark.parametrize(("column", "file"), [("fold", "f"), ("fold_1", "another file")])
def test_other_folds_are_refused_unless_they_are_another_column_of_the_file(
    column: str, file: str
) -> None:
    first, second = two_sources()
    first = replace(first, repeat=Repeat("recipe", 0, "fold", "f"))
    with pytest.raises(TableError, match=r"run_1: fold of TRAIN_00000 .* is another than in"):
        join_sources([first, on_other_folds(second, column, file)])
