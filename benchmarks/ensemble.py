"""Time and memory of build_submission.py on many runs of the size of SIIM-ISIC 2020.

Simulated runs are written to a temporary folder as training leaves them, and each method blends them
in a process of its own: what is measured is the whole command, its start-up included.
"""

import json
import sys
import tempfile
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pandas as pd
from common import ROOT, Used, call, run_timed

from melanoma.command_line import script
from melanoma.run_folder import RunFolder

SCRIPT = ROOT / "scripts" / "build_submission.py"
N_TRAIN, N_PATIENTS, N_MELANOMAS, N_TEST, N_FOLDS = 33_126, 2_056, 584, 10_982, 5
Floats = npt.NDArray[np.float64]
DEFAULT_METHODS = ["mean", "weighted", "best"]


def compare(n_runs: int = 18, methods: list[str] | None = None, n_threads: int = 2) -> None:
    """Print seconds and peak memory of each method.

    Args:
        n_runs: Number of runs, of five folds each.
        methods: As --method takes them; by default mean, weighted and best.
        n_threads: Of numpy's linear algebra.
    """
    with tempfile.TemporaryDirectory() as folder:
        run_dirs = write_runs(Path(folder), n_runs)
        print(f"{'method':>10} {'seconds':>8} {'peak_mb':>8}")
        for method in methods or DEFAULT_METHODS:
            used = measure(run_dirs, method, Path(folder) / method, n_threads)
            print(f"{method:>10} {used.seconds:8.2f} {used.peak_mb:8d}", flush=True)


def measure(run_dirs: list[Path], method: str, out_dir: Path, n_threads: int) -> Used:
    """Blend once."""
    command = [sys.executable, str(SCRIPT), "--run-dir", *map(str, run_dirs)]
    command += ["--method", method, "--out-dir", str(out_dir)]
    return run_timed(command, n_threads)


def write_runs(folder: Path, n_runs: int) -> list[Path]:
    """Write a competition's tables, a fold file, and runs from fair to good."""
    random = np.random.default_rng(0)
    patients = np.sort(random.integers(N_PATIENTS, size=N_TRAIN))
    train = table_of("TRAIN", patients).assign(target=0)
    train.loc[random.choice(N_TRAIN, N_MELANOMAS, replace=False), "target"] = 1
    test = table_of("TEST", np.sort(random.integers(N_PATIENTS, size=N_TEST)))
    competition, folds_csv = folder / "competition", folder / "folds.csv"
    competition.mkdir()
    train.to_csv(competition / "train.csv", index=False)
    test.to_csv(competition / "test.csv", index=False)
    test[["image_name"]].assign(target=0).to_csv(competition / "sample_submission.csv", index=False)
    folds = train[["image_name"]].assign(fold=patients % N_FOLDS)
    folds.to_csv(folds_csv, index=False)
    rows = train[["image_name", "patient_id"]].assign(fold=folds["fold"], target=train["target"])
    hard, hard_test = random.normal(size=N_TRAIN), random.normal(size=N_TEST)
    run_dirs: list[Path] = []
    for quality in np.linspace(1.3, 1.7, n_runs):
        run = RunFolder(folder / "runs" / f"run_{len(run_dirs):02d}")
        run.path.mkdir(parents=True)
        data = {"data_dir": str(competition), "folds_csv": str(folds_csv)}
        run.config_yaml.write_text(json.dumps({"data": data}))
        logits = quality * train["target"].to_numpy() + noisy(hard, random)
        for fold in range(N_FOLDS):
            held_out = rows["fold"] == fold
            run.fold(fold).path.mkdir()
            write(run.fold(fold).oof_csv, rows[held_out], logits[held_out], fold)
            write(run.fold(fold).test_csv, test[["image_name"]], noisy(hard_test, random), fold)
            run.fold(fold).done_json.write_text("{}")
        run_dirs.append(run.path)
    return run_dirs


def table_of(prefix: str, patients: npt.NDArray[np.int64]) -> pd.DataFrame:
    """A table of images and patients."""
    names = [f"{prefix}_{row:07d}" for row in range(len(patients))]
    return pd.DataFrame({"image_name": names, "patient_id": [f"IP_{p:07d}" for p in patients]})


def noisy(difficulty: Floats, random: np.random.Generator) -> Floats:
    """What one network sees: difficulty that all share, and its own errors."""
    logits: Floats = np.sqrt(0.7) * difficulty + np.sqrt(0.3) * random.normal(size=len(difficulty))
    return logits


def write(path: Path, rows: pd.DataFrame, logits: Floats, fold: int) -> None:
    """Write predictions in single precision, each fold calibrated a little differently."""
    probabilities = 1 / (1 + np.exp(4.5 + 0.2 * fold - 1.5 * logits))
    rows.assign(prediction=probabilities.astype(np.float32)).to_csv(path, index=False)


@script
def main(arguments: list[str]) -> None:
    """Compare the methods."""
    call(compare, __doc__, arguments)


if __name__ == "__main__":
    sys.exit(main())
