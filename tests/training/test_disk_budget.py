from pathlib import Path

import pytest

from melanoma.errors import RunError
from melanoma.files import sha256_of, write_json
from melanoma.run_folder import RunFolder
from melanoma.run_locks import hold_folds
from melanoma.training.disk_budget import keep_within
from melanoma.verification.folds import verify_fold

KB = 1000


@pytest.fixture
def run(tmp_path: Path) -> RunFolder:
    """Fold 0 is finished and takes 70 kB, 20 of them for good; fold 1 is in training: 20 kB."""
    run = RunFolder(tmp_path / "run")
    for fold, names in [
        (0, ["top/a.ckpt", "photographs/a.png", "last.ckpt", "tensorboard/events", "best.ckpt"]),
        (1, ["top/a.ckpt", "last.ckpt"]),
    ]:
        for name in names:
            path = run.fold(fold).path / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(bytes((20 if name.startswith("best") else 10) * KB))
    folder = run.fold(0)
    row = "image_name,patient_id,fold,target,prediction\na,b,0,1,0.5\n"
    folder.oof_csv.write_text(row)
    paths = [folder.best_checkpoint, folder.last_checkpoint, folder.oof_csv]
    write_json(folder.done_json, {"auc": 0.9, "files": {p.name: sha256_of(p) for p in paths}})
    return run


def left(run: RunFolder, fold: int = 0) -> set[str]:
    return {path.name for path in run.fold(fold).path.iterdir()}


ALWAYS = {"best.ckpt", "oof.csv", "done.json"}


@pytest.mark.parametrize(
    ("budget", "removed"),
    [
        (90, set()),
        (75, {"top"}),
        (65, {"top", "photographs"}),
        (55, {"top", "photographs", "last.ckpt"}),
        (45, {"top", "photographs", "last.ckpt", "tensorboard"}),
        (10, {"top", "photographs", "last.ckpt", "tensorboard"}),
    ],
)
def test_what_can_be_spared_is_removed_in_order(
    run: RunFolder, budget: int, removed: set[str], capsys: pytest.CaptureFixture[str]
) -> None:
    keep_within(run, budget * KB)
    assert left(run) == ALWAYS | {"top", "photographs", "last.ckpt", "tensorboard"} - removed
    assert left(run, 1) == {"top", "last.ckpt"}
    assert verify_fold(run.fold(0)).findings == []
    printed = capsys.readouterr().out
    assert printed.count("removed, to keep to --disk_budget") == len(removed)
    assert ("nothing more can be spared" in printed) == (budget == 10)


def test_room_is_left_for_the_fold_that_is_next(run: RunFolder) -> None:
    keep_within(run, 150 * KB, next_fold=2)  # 80 and 3 x 20
    assert "top" in left(run)
    keep_within(run, 130 * KB, next_fold=1)  # which has 20 of its 60
    assert "top" in left(run)
    keep_within(run, 130 * KB, next_fold=2)
    assert "top" not in left(run)


def test_a_fold_that_cannot_fit_is_not_started(run: RunFolder) -> None:
    message = (
        r"--disk_budget 90.0 kB: .*run takes 4\d.\d kB, what is to be trained needs about 60.0 kB, and "
        r"nothing more can be spared. The largest: fold_0/best.ckpt 20.0 kB, fold_1/last.ckpt"
    )
    with pytest.raises(RunError, match=message):
        keep_within(run, 90 * KB, next_fold=2)


def test_room_is_left_for_all_folds_that_train_side_by_side(run: RunFolder) -> None:
    keep_within(run, 150 * KB, next_fold=2)
    with pytest.raises(RunError, match=r"what is to be trained needs about 100.0 kB"):
        keep_within(run, 110 * KB, next_fold=2, running=[0, 1])  # 0 is done; 1 takes 20 of its 60
    keep_within(run, 150 * KB, next_fold=2, running=[0, 1])


def test_a_fold_that_another_process_writes_into_is_left_alone(run: RunFolder) -> None:
    with hold_folds(run, [0], "predicted"):
        keep_within(run, 10 * KB)
    assert left(run) == ALWAYS | {"top", "photographs", "last.ckpt", "tensorboard"}


def test_without_a_budget_nothing_is_removed(run: RunFolder) -> None:
    keep_within(run, None)
    keep_within(RunFolder(run.path / "nowhere"), 1)
    assert "top" in left(run)


def test_the_checkpoint_that_predicts_stays(run: RunFolder) -> None:
    folder = run.fold(0)
    write_json(folder.done_json, {**folder.read_done(), "predict_from": "last"})
    keep_within(run, 10 * KB)
    assert left(run) == {"last.ckpt", "oof.csv", "done.json"}
    assert verify_fold(folder).findings == []


def test_a_fold_whose_done_json_is_damaged_is_left_alone(run: RunFolder) -> None:
    run.fold(0).done_json.write_text("{")
    before = left(run)
    keep_within(run, 10 * KB)
    assert left(run) == before
