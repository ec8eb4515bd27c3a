"""A finished run of two folds as files alone: no network, no torch."""

import json
from pathlib import Path

import pandas as pd

from melanoma.ensemble.submission import build_submission
from melanoma.files import sha256_of, write_json, write_table, write_text
from melanoma.folds.files import read_folds
from melanoma.run_folder import RunFolder
from melanoma.tables import read_test


def whole_run(competition: Path, folds_csv: Path, name: str = "whole", shift: float = 0) -> Path:
    """Its predictions are in order, its checkpoints are not: nothing opens them."""
    run = RunFolder(folds_csv.parents[1] / "runs" / name)
    data = {"data_dir": str(competition), "folds_csv": str(folds_csv), "fold_column": "fold"}
    config = {"seed": 1, "run_dir": str(run.path), "predict_from": "last", "data": data}
    write_text(run.config_yaml, json.dumps(config))
    hashes = {
        "train.csv": sha256_of(competition / "train.csv"),
        "the fold file": sha256_of(folds_csv),
    }
    write_json(run.tables_json, hashes)
    train, test = read_folds(folds_csv, competition), read_test(competition)
    assert test is not None
    for fold in (0, 1):
        folder = run.fold(fold)
        rows = train.loc[train["fold"] == fold, ["image_name", "patient_id", "fold", "target"]]
        rows = rows.assign(prediction=0.25 + 0.5 * rows["target"] + shift)
        write_table(folder.oof_csv, rows)
        write_table(folder.test_csv, test[["image_name"]].assign(prediction=0.5))
        write_table(folder.metrics_csv, pd.DataFrame({"epoch": [0], "val_auc": [1.0]}))
        write_text(folder.best_checkpoint, "best")
        write_text(folder.last_checkpoint, "last")
        files = {path.name: sha256_of(path) for path in sorted(folder.path.iterdir())}
        done = {"fold": fold, "auc": 1.0, "predict_from": "last", "files": files}
        write_json(folder.done_json, done)
    return run.path


def blend(run_dir: Path) -> None:
    """As scripts/build_submission.py does."""
    build_submission(run_dir=[run_dir])
