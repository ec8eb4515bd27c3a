from melanoma.ensemble.choice import caution, choose_method
from melanoma.ensemble.table import Scoreboard
from melanoma.ensemble.variants import VariantBootstrap
from melanoma.metrics import PatientBootstrap
from simulated_runs import simulate_runs


def board_of(qualities: dict[str, float], seed: int = 0) -> Scoreboard:
    runs = simulate_runs(list(qualities.values()), seed)
    bootstrap = VariantBootstrap(PatientBootstrap(runs.targets, runs.patients, n_draws=100))
    board = Scoreboard(runs.targets, runs.folds, bootstrap)
    for name, predictions in zip(qualities, runs.oof):
        board.add(predictions[None], name)
    return board


def test_a_better_method_earns_its_place() -> None:
    board = board_of({"mean": 0.5, "rank": 0.5, "stack": 2.5})
    row, why = choose_method(board.rows, board.predictions, board.bootstrap)
    assert row.name == "stack"
    assert "stack, whose AUC is the highest, and it beats mean, rank beyond noise." in why


def test_of_two_alike_the_simpler_is_chosen_though_it_scores_less() -> None:
    for seed in range(20):
        board = board_of({"mean": 1.0, "stack": 1.0}, seed)
        row, why = choose_method(board.rows, board.predictions, board.bootstrap)
        ahead = board.bootstrap.difference(board.predictions["stack"], board.predictions["mean"])
        if ahead.difference > 0 and ahead.low <= 0:
            break
    assert row.name == "mean"
    assert "the simplest method that stack, the highest, does not beat beyond noise (+0.0" in why


def test_the_simplest_that_is_the_best_needs_no_more_reason() -> None:
    board = board_of({"mean": 2.0, "stack": 0.5})
    row, why = choose_method(board.rows, board.predictions, board.bootstrap)
    assert row.name == "mean"
    assert why == "mean, whose AUC is the highest, and it is the simplest."


def test_a_run_that_beats_the_blend_is_a_caution() -> None:
    board = board_of({"a": 2.0, "b": 0.0, "mean": 1.0})
    arguments = board.rows[:2], board.predictions, board.bootstrap
    (line,) = caution(board.rows[2], *arguments)
    assert line.startswith("caution: a alone scores higher than mean (+0.")
    assert caution(board.rows[0], *arguments) == []
