import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from melanoma.ensemble.epochs import (
    HONEST_EPOCH,
    OWN_EPOCH,
    EpochChoice,
    Validation,
    add_epochs,
    chooses_epoch,
    honest_validations,
)
from melanoma.epoch_predictions import EpochPredictions, write_epoch_predictions
from melanoma.errors import RunError
from melanoma.metrics import auc
from melanoma.run_folder import RunFolder

BEST = {"predict_from": "best", "early_stopping_patience": None}
N_EPOCHS = 6

aucs = st.floats(0, 1)
some_curves = st.lists(st.lists(aucs, min_size=N_EPOCHS, max_size=N_EPOCHS), min_size=1, max_size=6)


def curves_of(rows: list[list[float]]) -> dict[int, dict[Validation, float]]:
    return {
        fold: {(epoch, 0): value for epoch, value in enumerate(row)}
        for fold, row in enumerate(rows)
    }


@given(some_curves)
def test_the_choice_is_the_best_mean_of_the_other_folds(rows: list[list[float]]) -> None:
    chosen = honest_validations(curves_of(rows))
    if len(rows) < 3:
        assert chosen == {}
        return
    for fold in range(len(rows)):
        others = np.delete(rows, fold, axis=0)
        mean = others.mean(axis=0)
        assert mean[chosen[fold][0]] == pytest.approx(mean.max())


@given(some_curves, st.data())
def test_no_fold_has_a_say_in_its_own_choice(rows: list[list[float]], data: st.DataObject) -> None:
    before = honest_validations(curves_of(rows))
    fold = data.draw(st.integers(0, len(rows) - 1))
    rows[fold] = data.draw(st.lists(aucs, min_size=N_EPOCHS, max_size=N_EPOCHS))
    assert honest_validations(curves_of(rows)).get(fold) == before.get(fold)


@given(
    st.lists(st.lists(aucs, min_size=1, max_size=N_EPOCHS), min_size=3, max_size=6),
    st.integers(0, 3),
)
def test_a_choice_is_a_validation_that_the_fold_has(rows: list[list[float]], wait: int) -> None:
    curves = curves_of(rows)
    chosen = honest_validations(curves, wait)
    assert set(chosen) == set(curves)
    assert all(validation in curves[fold] for fold, validation in chosen.items())


def test_a_fold_that_stopped_early_does_not_pull_later_epochs_down() -> None:
    # Fold 0 is easy and stops after two epochs; the others rise, far below it.
    rows = [[0.95, 0.94], [0.5, 0.6, 0.7, 0.8], [0.5, 0.6, 0.7, 0.8], [0.5, 0.6, 0.7, 0.8]]
    assert honest_validations(curves_of(rows)) == {0: (1, 0), 1: (3, 0), 2: (3, 0), 3: (3, 0)}


def test_the_last_epoch_of_early_stopping_waits_as_the_others_do() -> None:
    rows = [[0.5, 0.9, 0.6, 0.6, 0.6]] * 3
    assert honest_validations(curves_of(rows), wait=2) == dict.fromkeys(range(3), (3, 0))
    assert honest_validations(curves_of(rows), wait=9) == dict.fromkeys(range(3), (4, 0))


@pytest.mark.parametrize(
    ("config", "chooses"),
    [
        ({"predict_from": "last"}, False),
        ({"predict_from": "last", "early_stopping_patience": 3}, True),
        ({"predict_from": "best"}, True),
        ({}, True),
    ],
)
def test_what_chooses_an_epoch(config: dict[str, object], chooses: bool) -> None:
    assert chooses_epoch(config) == chooses


def a_run(path: Path, n_folds: int = 4, n_epochs: int = 5) -> tuple[RunFolder, pd.DataFrame]:
    """Epochs that differ by luck alone, with oof.csv from the best of each fold."""
    random = np.random.default_rng(0)
    run, tables = RunFolder(path), []
    for fold in range(n_folds):
        folder = run.fold(fold)
        folder.path.mkdir(parents=True)
        target = np.repeat([0, 1], 20)
        scores = random.random((n_epochs, 40)) + 0.3 * target
        predictions = (scores / 2).astype(np.float32)
        numbers = np.arange(n_epochs)
        write_epoch_predictions(folder.epochs_npz, EpochPredictions(numbers, numbers, predictions))
        best = max(numbers, key=lambda epoch: auc(target, predictions[epoch]))
        names = [f"{fold}_{row}" for row in range(40)]
        table = pd.DataFrame({"image_name": names, "fold": fold, "target": target})
        table["patient_id"], table["prediction"] = names, predictions[best].astype(np.float64)
        table.to_csv(folder.oof_csv, index=False)
        folder.done_json.write_text(json.dumps({"fold": fold, "files": {}}))
        tables.append(table)
    oof = pd.concat(tables).sample(frac=1, random_state=1).reset_index(drop=True)
    return run, oof


def test_own_and_honest_epochs_stand_beside_the_predictions(tmp_path: Path) -> None:
    run, oof = a_run(tmp_path)
    table, epochs = add_epochs(run, BEST, oof)
    assert table[OWN_EPOCH].tolist() == table["prediction"].tolist()
    for fold, choice in epochs.items():
        rows = table[table["fold"] == fold]
        with np.load(run.fold(fold).epochs_npz) as kept:
            prediction = kept["prediction"][choice.honest - 1]
        order = rows["image_name"].str.split("_").str[1].astype(int)
        assert rows[HONEST_EPOCH].tolist() == prediction[order].tolist()
        own = auc(rows["target"], rows[OWN_EPOCH])
        assert own >= auc(rows["target"], rows[HONEST_EPOCH])
    assert any(choice.own != choice.honest for choice in epochs.values())


def test_the_last_epoch_of_an_early_stop_is_its_own(tmp_path: Path) -> None:
    run, oof = a_run(tmp_path)
    _, epochs = add_epochs(run, {"predict_from": "last", "early_stopping_patience": 9}, oof)
    assert epochs == {fold: EpochChoice(5, 5) for fold in range(4)}


def test_without_a_choice_nothing_is_added(tmp_path: Path) -> None:
    run, oof = a_run(tmp_path)
    table, epochs = add_epochs(run, {"predict_from": "last"}, oof)
    assert table is oof
    assert epochs == {}


@pytest.mark.parametrize("n_folds", [1, 2])
def test_two_folds_cannot_choose_for_each_other(tmp_path: Path, n_folds: int) -> None:
    run, oof = a_run(tmp_path, n_folds)
    assert add_epochs(run, BEST, oof)[1] == {}


def test_without_the_epochs_of_a_fold_there_is_no_choice(tmp_path: Path) -> None:
    run, oof = a_run(tmp_path)
    run.fold(2).epochs_npz.unlink()
    assert add_epochs(run, BEST, oof)[1] == {}


def test_epochs_of_other_images_are_refused(tmp_path: Path) -> None:
    run, oof = a_run(tmp_path)
    numbers = np.arange(3)
    few = EpochPredictions(numbers, numbers, np.zeros((3, 7), np.float32))
    write_epoch_predictions(run.fold(1).epochs_npz, few)
    with pytest.raises(RunError, match=r"epochs.npz: predictions of 7 images, but oof.csv has 40"):
        add_epochs(run, BEST, oof)
