from pathlib import Path

import pytest

from melanoma.errors import ConfigError
from melanoma.kaggle.inputs import (
    AttachedRun,
    copy_weights,
    find_fold_files,
    find_runs,
    find_weights,
    list_mounts,
)
from melanoma.kaggle.job import Job, Mode


def run(root: Path, place: str, name: str, marker: str = "tables.json") -> Path:
    folder = root / place / name
    folder.mkdir(parents=True)
    for file in ("config.yaml", marker):
        (folder / file).touch()
    return folder


def names(root: Path, job: Job) -> list[str]:
    return [str(found.path.relative_to(root)) for found in find_runs(list_mounts(root), job)]


@pytest.mark.parametrize("marker", ["tables.json", "run.json"])
@pytest.mark.parametrize("place", ["k1/runs", "notebooks/me/k1/runs", "datasets/me/k1"])
def test_a_run_is_known_by_its_files(tmp_path: Path, place: str, marker: str) -> None:
    folder = run(tmp_path, place, "baseline", marker)
    run(tmp_path, "k2/runs", "other")
    (tmp_path / "k3" / "runs" / "baseline").mkdir(parents=True)  # a blend's folder
    for job in (
        Job(mode="train", run="baseline"),
        Job(mode="predict", run="baseline", runs=("me/k1",)),
    ):
        found = find_runs(list_mounts(tmp_path), job)
        assert found == [AttachedRun("baseline", folder)]
    assert names(tmp_path, Job(mode="train", run="fresh")) == []
    assert len(names(tmp_path, Job(mode="ensemble", run="blend"))) == 2


def test_the_only_run_of_a_dataset_may_be_called_otherwise(tmp_path: Path) -> None:
    run(tmp_path, "datasets/me", "weights")
    job = Job(mode="predict", run="baseline", runs=("me/weights",))
    assert names(tmp_path, job) == ["datasets/me/weights"]
    run(tmp_path, "k2/runs", "other")
    with pytest.raises(
        ConfigError, match=r"no run baseline, but other, weights. Say which with --run"
    ):
        names(tmp_path, job)


@pytest.mark.parametrize(
    ("mode", "purpose"),
    [("train", "x to go on with"), ("predict", "x to predict with"), ("ensemble", "to blend")],
)
def test_a_run_that_is_missing_is_named(tmp_path: Path, mode: Mode, purpose: str) -> None:
    job = Job(mode=mode, run="x", resume=mode == "train")
    with pytest.raises(ConfigError, match=rf"no run {purpose}. Attached: nothing"):
        names(tmp_path, job)
    run(tmp_path, "k1/runs", "x")
    with pytest.raises(ConfigError, match=r"me/k2: no run in there .* Attached: k1. Wait until"):
        names(tmp_path, Job(mode=mode, run="x", resume=True, runs=("me/k1", "me/k2")))


def test_fold_files_are_known_by_their_names(tmp_path: Path) -> None:
    wanted = ["k/folds/five.csv", "k/my_folds.csv"]
    for name in [*wanted, "k/train.csv", "k/folds/five.json"]:
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    assert find_fold_files(list_mounts(tmp_path)) == [tmp_path / name for name in wanted]


def test_weights_are_found_and_copied_by_their_names(tmp_path: Path) -> None:
    for place in ("a", "b"):
        (tmp_path / place).mkdir()
        (tmp_path / place / "w.pth").write_text("same")
    (tmp_path / "a" / "w.pth").chmod(0o444)
    found = find_weights(list_mounts(tmp_path), ["w.pth"])
    for _ in range(2):
        copy_weights(found, tmp_path / "scratch")
    assert (tmp_path / "scratch" / "w.pth").read_text() == "same"
    (tmp_path / "b" / "w.pth").write_text("else")
    with pytest.raises(
        ConfigError, match=r"weights w.pth: there are several, and they differ: .*b/w"
    ):
        find_weights(list_mounts(tmp_path), ["w.pth"])
    with pytest.raises(ConfigError, match=r"weights v.pth: no file of that name is attached"):
        find_weights(list_mounts(tmp_path), ["v.pth"])
    assert find_weights(list_mounts(tmp_path), []) == {}
