"""A run as files alone whose predictions are neither perfect nor useless."""

from pathlib import Path

import numpy as np
import pandas as pd

from whole_run import whole_run


def noisy_run(competition: Path, folds_csv: Path, name: str, seed: int) -> Path:
    path = whole_run(competition, folds_csv, name)
    for oof in sorted(path.glob("fold_*/oof.csv")):
        add_noise(oof, seed)
    return path


def add_noise(oof_csv: Path, seed: int) -> None:
    table = pd.read_csv(oof_csv)
    logits = 1.5 * table["target"] + np.random.default_rng(seed).normal(size=len(table)) - 1
    table.assign(prediction=1 / (1 + np.exp(-logits))).to_csv(oof_csv, index=False)
