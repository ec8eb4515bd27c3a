"""A time limit on a run that needs more: it ends in time, hands in what there is, and goes on."""

import time
from pathlib import Path

from commands import Place, must_run, options_of, run
from row import Row

_TEST = "time budget of {} s on a run that needs more"
_GOAL = "ends within the time + 10 %, resumable, submission possible"
# Of the budget, for the training of one fold: the first is finished in time, the last is not.
_PER_FOLD = 0.4
_FEW, _MORE = 2, 22


def test_budget(place: Place, budget_s: int) -> Row:
    """Give a run of three folds too little time, submit, and give it more.

    Args:
        place: Where.
        budget_s: The time, in seconds.
    """
    test = _TEST.format(budget_s)
    if "time_budget" not in options_of("train_folds"):
        return Row(test, _GOAL, "option not there", None)
    run_dir = place.root / "limited"
    epochs = _epochs_that_take(place, _PER_FOLD * budget_s)
    # One by one: two at a time would end together, and the third with them or not at all.
    arguments = place.training(run_dir, epochs, "--fold=all", "--parallel-folds=1")
    log = place.root / "limited.log"
    limited = run(log, "train_folds", *arguments, f"--time-budget={budget_s}s")
    n_done = len(list(run_dir.glob("fold_*/done.json")))
    wrong = []
    if limited.code:
        wrong.append(f"with the budget: {limited.last_words}")
    if limited.seconds > 1.1 * budget_s:
        wrong.append(f"it took {limited.seconds:.1f} s")
    if not 0 < n_done < 3:
        wrong.append(f"{n_done} of 3 folds were finished: the test says nothing about the rest")
    wrong += _submit(run_dir, log, "--allow-missing-folds")
    (run_dir / "submission.csv").unlink(missing_ok=True)
    resumed = run(log, "train_folds", *arguments, "--time-budget=1h")
    if resumed.code or len(list(run_dir.glob("fold_*/done.json"))) != 3:
        wrong.append(f"with more time: {resumed.last_words}")
    wrong += _submit(run_dir, log, "--overwrite")
    found = (
        f"{limited.seconds:.1f} s, {n_done} of 3 folds finished; submission from them; "
        f"finished in {resumed.seconds:.0f} s more"
    )
    return Row(test, _GOAL, found, not wrong, tuple(wrong))


def _epochs_that_take(place: Place, seconds: float) -> int:
    took = []
    for epochs in (_FEW, _MORE):
        run_dir = place.root / f"measured_{epochs}"
        started = time.monotonic()
        must_run(
            run_dir.with_suffix(".log"), "train_folds", *place.training(run_dir, epochs, "--fold=0")
        )
        took.append(time.monotonic() - started)
    return max(2, round(seconds * (_MORE - _FEW) / max(took[1] - took[0], 0.1)))


def _submit(run_dir: Path, log: Path, option: str) -> list[str]:
    built = run(log, "build_submission", f"--run-dir={run_dir}", option)
    if built.code or not (run_dir / "submission.csv").is_file():
        return [f"build_submission.py {option}: {built.last_words}"]
    return []
