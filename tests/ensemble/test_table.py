import numpy as np
import pytest

from melanoma.ensemble.table import Row, Scoreboard, align_columns, score_row, table_as_text
from melanoma.ensemble.variants import VariantBootstrap
from melanoma.metrics import PatientBootstrap, auc, calibrated_error
from simulated_runs import simulate_runs


def row_of(predictions: list[float], targets: list[int], folds: list[int], **kind: object) -> Row:
    bootstrap = VariantBootstrap(PatientBootstrap(targets, np.arange(len(targets)), n_draws=20))
    arrays = np.array([predictions]), np.array(targets), np.array(folds)
    return score_row(*arrays, bootstrap, "a", **kind)  # type: ignore[arg-type]


def test_a_mean_of_fold_scores_is_not_sold_as_the_pooled_score() -> None:
    # Perfect within each fold, but fold 1's network predicts higher throughout.
    row = row_of([0.1, 0.2, 0.3, 0.4], [0, 1, 0, 1], [0, 0, 1, 1])
    assert row.fold_aucs == [1.0, 1.0]
    assert row.mean_auc == 1.0
    assert row.pooled_auc == 0.75
    assert row.rank_auc == 1.0


def test_a_row_holds_all_scores() -> None:
    runs = simulate_runs([1.0])
    bootstrap = VariantBootstrap(PatientBootstrap(runs.targets, runs.patients, n_draws=50))
    board = Scoreboard(runs.targets, runs.folds, bootstrap)
    row = board.add(runs.oof[:1], "a")
    assert board.rows == [row]
    assert board.predictions["a"].tolist() == runs.oof[:1].tolist()
    interval = bootstrap.interval(runs.oof[:1])
    assert (row.low, row.high) == (interval.low, interval.high)
    assert row.low < row.pooled_auc < row.high
    for fold in range(5):
        part = runs.folds == fold
        assert row.fold_aucs[fold] == auc(runs.targets[part], runs.oof[0][part])
    assert row.brier_score == pytest.approx(np.mean((runs.oof[0] - runs.targets) ** 2))
    assert row.in_sample_auc is None
    assert not row.nested


def test_ranks_have_no_calibration() -> None:
    row = row_of([0.1, 0.2, 0.3, 0.4], [0, 1, 0, 1], [0, 0, 1, 1], probabilities=False)
    assert row.brier_score is None
    assert row.calibration_error is None
    assert row.calibrated_error is None
    assert row.calibrated_error_high is None


def test_probabilities_have_the_calibration_error_of_a_calibrated_model() -> None:
    predictions = np.random.default_rng(0).random(400)
    row = row_of(list(predictions), [0, 1] * 200, [0] * 200 + [1] * 200)
    found = calibrated_error(predictions)
    assert (row.calibrated_error, row.calibrated_error_high) == (found.mean, found.high)


def test_the_in_sample_score_is_beside_and_marked() -> None:
    row = row_of(
        [0.1, 0.2, 0.3, 0.4],
        [0, 1, 0, 1],
        [0, 0, 1, 1],
        nested=True,
        in_sample=np.array([[0.1, 0.3, 0.2, 0.4]]),
    )
    assert (row.pooled_auc, row.in_sample_auc) == (0.75, 1.0)
    text = table_as_text([row], [0, 1])
    header, line = text.splitlines()[:2]
    assert "in-sample" in header
    assert line.startswith("a, nested  0.7500")
    assert "  1.0000  " in line


def test_the_table_fits_a_terminal() -> None:
    row = row_of(list(np.linspace(0, 1, 30)), [0, 1] * 15, [n // 2 for n in range(30)])
    row = Row(**{**row.__dict__, "name": "a_very_long_name/" * 5, "nested": True})
    text = table_as_text([row], list(range(15)))
    assert max(map(len, text.splitlines())) <= 120
    assert "fold 14" in text
    assert "…" in text


def test_for_json_a_row_has_the_promised_keys() -> None:
    row = row_of([0.1, 0.2, 0.3, 0.4], [0, 1, 0, 1], [0, 0, 1, 1])
    promised = {"name", "method", "fold_aucs", "pooled_auc", "low", "high", "nested", "mean_auc"}
    promised |= {"calibration_error", "calibrated_error", "calibrated_error_high"}
    assert promised <= row.as_dict().keys()


def test_columns_are_aligned() -> None:
    assert align_columns([["a", "10"], ["long", "1"]]) == "a     10\nlong   1"
