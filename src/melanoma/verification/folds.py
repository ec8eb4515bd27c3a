"""Checking what a fold has left: done.json, the files it names, and what its tables hold."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from melanoma.errors import RunError, TableError
from melanoma.files import sha256_of
from melanoma.run_folder import FoldFolder
from melanoma.tables import OOF_COLUMNS, PREDICTION_COLUMNS, read_predictions
from melanoma.verification.findings import RETRAIN, Finding

_REPREDICT = "Predict that fold again with scripts/predict_folds.py --overwrite."


@dataclass
class FoldState:
    """What was found in a fold's folder.

    Attributes:
        fold: Its number.
        state: finished, unfinished or missing.
        auc: As `done.json` says.
        n_files: How many files were compared with their checksums.
        n_bytes: That they take.
        findings: What is wrong.
    """

    fold: int
    state: str
    auc: float | None = None
    n_files: int = 0
    n_bytes: int = 0
    findings: list[Finding] = field(default_factory=list)


def verify_fold(folder: FoldFolder) -> FoldState:
    """Check a fold's folder; nothing is changed in it."""
    if not folder.is_done:
        return _without_done(folder)
    state = FoldState(folder.number, "finished")
    try:
        done = folder.read_done()
        files = _files_of(done, folder.done_json)
    except RunError as error:
        state.findings.append(Finding.of_error(folder.done_json, error))
        return state
    state.auc = done.get("auc")
    for name, sha256 in files.items():
        path = folder.path / name
        remedy = _REPREDICT if path == folder.test_csv else RETRAIN
        state.findings += verify_file(path, sha256, folder.done_json.name, remedy)
        state.n_files += 1
        state.n_bytes += path.stat().st_size if path.is_file() else 0
    state.findings += _verify_tables(folder, files)
    return state


def _without_done(folder: FoldFolder) -> FoldState:
    begun = folder.path.is_dir()
    problem = "begun, but not finished" if begun else "not trained"
    remedy = f"Train it with scripts/train_folds.py --fold {folder.number} and the run's --config."
    state = "unfinished" if begun else "missing"
    return FoldState(folder.number, state, findings=[Finding(folder.path, problem, remedy)])


def _files_of(done: Any, path: Path) -> dict[str, str]:
    files = done.get("files") if isinstance(done, dict) else None
    if not isinstance(files, dict) or not files or any(Path(name).name != name for name in files):
        raise RunError(f"{path}: names no files with their checksums. {RETRAIN}")
    return files


def verify_file(path: Path, sha256: str, named_in: str, remedy: str) -> list[Finding]:
    """Check that a file is there, and is what another one says of it."""
    try:
        found = sha256_of(path)
    except FileNotFoundError:
        return [Finding(path, f"missing, though {named_in} names it", remedy)]
    except OSError as error:
        return [Finding(path, f"cannot be read ({error.strerror})", remedy)]
    if found != sha256:
        return [Finding(path, f"damaged or replaced: not the SHA-256 in {named_in}", remedy)]
    return []


def _verify_tables(folder: FoldFolder, files: dict[str, str]) -> list[Finding]:
    findings = []
    if folder.oof_csv.name not in files:
        findings.append(Finding(folder.done_json, "does not name oof.csv", RETRAIN))
    # Without a test set there are no predictions of it.
    for path, columns in [(folder.oof_csv, OOF_COLUMNS), (folder.test_csv, PREDICTION_COLUMNS)]:
        if path.name in files and path.is_file():
            findings += verify_table(path, columns)
    return findings


def verify_table(path: Path, columns: list[str]) -> list[Finding]:
    """Check columns, that no image is there twice, and that predictions are in [0, 1]."""
    try:
        read_predictions(path, columns)
    except TableError as error:
        return [Finding.of_error(path, error)]
    return []
