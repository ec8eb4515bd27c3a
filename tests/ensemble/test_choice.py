import numpy as np
import pytest

from melanoma.ensemble.choice import Choice, caution, choose_method
from melanoma.ensemble.table import Scoreboard
from melanoma.ensemble.variants import VariantBootstrap
from melanoma.metrics import PatientBootstrap
from simulated_runs import simulate_runs


def board_of(
    qualities: dict[str, float], seed: int = 0, offsets: dict[str, float] | None = None
) -> Scoreboard:
    runs = simulate_runs(list(qualities.values()), seed)
    bootstrap = VariantBootstrap(PatientBootstrap(runs.targets, runs.patients, n_draws=100))
    board = Scoreboard(runs.targets, runs.folds, bootstrap)
    for name, predictions in zip(qualities, runs.oof):
        logits = np.log(predictions / (1 - predictions))
        logits += (offsets or {}).get(name, 0.0) * runs.folds
        board.add(1 / (1 + np.exp(-logits))[None], name)
    return board


def choice_of(board: Scoreboard) -> Choice:
    return choose_method(board.rows, board.predictions, board.targets, board.folds, board.bootstrap)


def test_the_better_method_is_chosen_and_said_to_be() -> None:
    choice = choice_of(board_of({"mean": 0.5, "rank": 0.5, "stack": 2.5}))
    assert choice.row.name == "stack"
    assert choice.ahead.low > 0
    assert "stack has the highest AUC of fold ranks; its lead over mean is beyond noise (+0" in (
        choice.why
    )


def test_a_lead_within_noise_is_called_so() -> None:
    choices = [choice_of(board_of({"mean": 1.0, "stack": 1.0}, seed)) for seed in range(8)]
    within = [choice for choice in choices if choice.row.name == "stack" and choice.ahead.low <= 0]
    assert within
    assert all("its lead over mean is within noise (+0.0" in choice.why for choice in within)


def test_the_simplest_that_is_the_best_needs_no_more_reason() -> None:
    choice = choice_of(board_of({"mean": 2.0, "stack": 0.5}))
    assert choice.row.name == "mean"
    assert choice.why.startswith("mean, the simplest, has the highest AUC of fold ranks. Choosing")


def test_of_equal_methods_the_simplest_is_taken() -> None:
    board = board_of({"mean": 1.0})
    board.add(board.predictions["mean"], "rank")
    choice = choice_of(board)
    assert (choice.row.name, choice.optimism) == ("mean", 0.0)


def test_calibration_among_folds_is_no_merit() -> None:
    # The better method's folds lie apart, which a test set, predicted by all networks, does not see.
    board = board_of({"mean": 1.0, "stack": 1.5}, offsets={"stack": 2.0})
    pooled = {row.name: row.pooled_auc for row in board.rows}
    assert pooled["stack"] < pooled["mean"]
    assert choice_of(board).row.name == "stack"


def test_the_optimism_is_what_choosing_among_equals_gains_by_luck() -> None:
    flattery, estimates = [], []
    for seed in range(25):
        board = board_of(dict.fromkeys(map(str, range(6)), 1.0), seed)
        choice = choice_of(board)
        flattery.append(choice.row.rank_auc - np.mean([row.rank_auc for row in board.rows]))
        estimates.append(choice.optimism)
    assert np.mean(flattery) > 0.01
    assert np.mean(estimates) == pytest.approx(np.mean(flattery), rel=0.5)


def test_where_one_is_far_better_nothing_flatters() -> None:
    assert choice_of(board_of({"mean": 0.3, "stack": 3.0})).optimism == 0.0


def test_a_run_that_beats_the_blend_is_a_caution() -> None:
    board = board_of({"a": 2.0, "b": 0.0, "mean": 1.0})
    arguments = board.rows[:2], board.predictions, board.bootstrap
    (line,) = caution(board.rows[2], *arguments)
    assert line.startswith("caution: a alone scores higher than mean (+0.")
    assert caution(board.rows[0], *arguments) == []
