import numpy as np
import pytest

from melanoma.ensemble.comparison import compare_all, leave_one_out
from melanoma.ensemble.methods import METHODS
from melanoma.ensemble.variants import VariantBootstrap
from melanoma.metrics import PatientBootstrap, auc, delong_test
from simulated_runs import simulate_runs


def test_every_two_are_compared() -> None:
    runs = simulate_runs([0.5, 1.0, 1.5])
    bootstrap = VariantBootstrap(PatientBootstrap(runs.targets, runs.patients, 50))
    named = dict(zip(runs.names, runs.oof[:, None]))
    table = compare_all(named, runs.targets, bootstrap)
    assert list(zip(table["first"], table["second"])) == [
        ("run_0", "run_1"),
        ("run_0", "run_2"),
        ("run_1", "run_2"),
    ]
    pair = table.iloc[1]
    first, second = runs.oof[0], runs.oof[2]
    expected = auc(runs.targets, first) - auc(runs.targets, second)
    assert pair["difference"] == pytest.approx(expected)
    assert pair["low"] < expected < pair["high"]
    assert pair["p_bootstrap"] == bootstrap.difference(first[None], second[None]).p_value
    assert pair["p_delong"] == delong_test(runs.targets, first, second).p_value


def test_one_alone_is_compared_with_nothing() -> None:
    runs = simulate_runs([1.0])
    bootstrap = VariantBootstrap(PatientBootstrap(runs.targets, runs.patients, 10))
    assert compare_all({"a": runs.oof[:1]}, runs.targets, bootstrap).empty


# A stack may well use a guessing run, against the noise it shares with the others.
@pytest.mark.parametrize("name", [name for name in METHODS if name != "stack"])
def test_a_good_run_is_missed_and_guessing_is_not(name: str) -> None:
    runs = simulate_runs([1.5, 1.5, 0.0])
    bootstrap = VariantBootstrap(PatientBootstrap(runs.targets, runs.patients, 50))
    method = METHODS[name]
    features = method.scale(runs.oof, runs.folds)[None]
    table = leave_one_out(
        method, runs.names, features, runs.targets, runs.folds, bootstrap
    ).set_index("run")
    assert table["high"]["run_0"] < 0
    assert table["change"]["run_2"] > -0.005
    assert (table["low"] <= table["change"]).all()
    assert (table["change"] <= table["high"]).all()


def test_given_weights_leave_with_their_run() -> None:
    runs = simulate_runs([1.0, 1.5, 0.0])
    bootstrap = VariantBootstrap(PatientBootstrap(runs.targets, runs.patients, 10))
    method = METHODS["mean"].with_weights([1, 3, 2])
    table = leave_one_out(method, runs.names, runs.variants, runs.targets, runs.folds, bootstrap)
    without_last = (runs.oof[0] + 3 * runs.oof[1]) / 4
    assert table["auc_without"].iloc[2] == pytest.approx(auc(runs.targets, without_last))
    together = np.array([1, 3, 2]) @ runs.oof
    change = auc(runs.targets, without_last) - auc(runs.targets, together)
    assert table["change"].iloc[2] == pytest.approx(change)
