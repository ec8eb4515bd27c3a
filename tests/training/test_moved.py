import shutil
import time
from pathlib import Path

import pytest
import torch

from melanoma.run_folder import RunFolder
from melanoma.training.fold import train_fold
from melanoma.training.stopping import TrainingStopped
from tiny_run import tiny_config

OPTIONS = ("--top_k=2", "--trainer.max_epochs=3")


def test_a_fold_that_was_moved_still_knows_its_best_epoch(
    competition: Path, folds_csv: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = tiny_config(competition, folds_csv, *OPTIONS)
    epochs = iter([False] * 20 + [True] * 100)
    monkeypatch.setattr(
        "melanoma.training.stopping.time.monotonic",
        lambda real=time.monotonic: real() + (1e9 if next(epochs) else 0),
    )
    with pytest.raises(TrainingStopped):
        train_fold(tiny_config(competition, folds_csv, *OPTIONS, f"--deadline={1e8}"), 0)
    monkeypatch.undo()
    moved = config.run_dir.with_name("moved")
    shutil.copytree(config.run_dir, moved)
    for folder in (config.run_dir, moved):
        train_fold(tiny_config(competition, folds_csv, *OPTIONS, f"--run_dir={folder}"), 0)
    stayed, went = RunFolder(config.run_dir).fold(0), RunFolder(moved).fold(0)
    assert stayed.oof_csv.read_bytes() == went.oof_csv.read_bytes()
    assert names(stayed.path / "top") == names(went.path / "top")
    state = torch.load(went.last_checkpoint, weights_only=True)["callbacks"]
    paths = [s["best_model_path"] for s in state.values() if s.get("best_model_path")]
    assert paths
    assert all(Path(path).is_relative_to(moved.resolve()) for path in paths)


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())
