import json
from pathlib import Path

import pytest

from melanoma.report.costs import fold_costs, read_epochs, total_seconds
from melanoma.run_folder import RunFolder


@pytest.fixture
def run(tmp_path: Path) -> RunFolder:
    run = RunFolder(tmp_path / "run")
    for fold in (0, 1):
        run.fold(fold).path.mkdir(parents=True)
        done = {"auc": 0.9, "best_epoch": 2, "seconds": 60.5, "predict_seconds": 0.5}
        run.fold(fold).done_json.write_text(json.dumps(done))
    run.fold(0).metrics_csv.write_text("epoch,val_auc\n0,0.5\n1,\n")
    return run


def test_costs_are_what_the_folds_say(run: RunFolder) -> None:
    first, second = fold_costs(run)
    assert (first.train_seconds, first.n_epochs, first.epochs_in_words) == (60.0, 2, "2 of 2")
    assert (second.n_epochs, second.epochs_in_words) == (None, "2")
    assert total_seconds([run]) == 121.0


def test_what_they_do_not_say_is_not_known(run: RunFolder) -> None:
    run.fold(1).done_json.write_text(json.dumps({"seconds": "long", "files": [1], "auc": True}))
    cost = fold_costs(run)[1]
    assert (cost.auc, cost.seconds, cost.train_seconds, cost.hashes) == (None, None, None, {})
    assert cost.epochs_in_words == "-"
    assert total_seconds([run]) is None


def test_a_table_of_epochs_that_is_none_is_left_out(run: RunFolder) -> None:
    assert read_epochs(run.fold(1)) is None
    run.fold(1).metrics_csv.write_text("nonsense\n1\n")
    assert read_epochs(run.fold(1)) is None
    run.fold(1).metrics_csv.write_text("epoch,val_auc\nx,1\n1,high\n")
    epochs = read_epochs(run.fold(1))
    assert epochs is not None
    assert epochs["epoch"].tolist() == [1]
    assert epochs["val_auc"].isna().all()
