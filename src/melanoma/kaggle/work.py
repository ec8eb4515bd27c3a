"""What a kernel does once everything is there: folds, training, prediction, submission."""

import shutil
import time
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import yaml

from melanoma.command_line import sigterm_as_exit
from melanoma.errors import ConfigError, RunError, name_some
from melanoma.files import sha256_of, write_bytes
from melanoma.folds.files import copy_folds, read_fold_column
from melanoma.kaggle.outputs import take_run
from melanoma.kaggle.steps import (
    Session,
    create_folds_command,
    predict_command,
    run_step,
    setting,
    submission_command,
    train_command,
)
from melanoma.locking import LOCKS
from melanoma.run_folder import TEST_SHA256, RunFolder
from melanoma.run_tables import find_folds_csv
from melanoma.tables import FOLD, test_csv

# What the blend and the end are left of the time, at most.
_MARGIN_S = 120
_MARGIN_SHARE = 0.1
_ALL = "all"


def do(session: Session) -> None:
    """Do what the job asks for, in the process that `melanoma.kaggle.kernel` has made ready.

    Raises:
        StepError: If a step fails, with its exit code.
        MelanomaError: If something that is needed is missing, or cannot be read.
    """
    modes = {"train": train, "predict": predict, "ensemble": ensemble}
    try:
        with sigterm_as_exit():
            print(modes[session.job.mode](session), flush=True)
    finally:
        for locks in session.working.glob(f"runs/*/{LOCKS}"):
            shutil.rmtree(locks, ignore_errors=True)  # of no use to whoever reads the output


def train(session: Session) -> str:
    """Train folds, as far as the time goes, and build a submission of what is finished.

    Returns:
        What came of it, for the last line.
    """
    run = RunFolder(session.run_dir)
    folds_csv = _folds_csv(session)
    if session.runs:
        take_run(session.sources, run.path, session.data_dir, folds_csv)
        print(f"going on from {name_some(session.sources)}", flush=True)
    config = _read_recipe(session)
    column = setting(config, session.job.overrides, "data.fold_column")
    known = _folds_in(folds_csv, str(column or FOLD))
    asked = _asked(session, known)
    margin_s = min(_MARGIN_S, _MARGIN_SHARE * session.job.time_budget_s)
    seconds = int(session.deadline - margin_s - time.monotonic())
    if seconds > 0:
        command = train_command(session, folds_csv, len(asked), seconds, config)
        run_step(command, session.bundle)
    has_test_set = test_csv(session.data_dir).exists()
    unpredicted = [f for f in run.finished_folds() if has_test_set and not run.fold(f).is_predicted]
    missing = _missing(run, asked, unpredicted)
    if unpredicted or not run.finished_folds():
        return f"no submission yet.{missing}"
    return _submit(session, {run: known}) + missing


def predict(session: Session) -> str:
    """Predict the test photographs with folds that earlier kernels have trained.

    The networks are copied to scratch: they are in the output of those kernels already.
    """
    folds_csv = _folds_csv(session)
    asked = None if session.job.folds == _ALL else _asked(session, [])
    place = session.scratch / "runs" / session.job.run_name
    run = take_run(session.sources, place, session.data_dir, folds_csv, asked)
    sha256 = sha256_of(_test_table(session))
    is_another = any(
        run.fold(fold).is_predicted and run.fold(fold).read_done().get(TEST_SHA256) != sha256
        for fold in run.finished_folds()
    )
    command = predict_command(session, run.path, overwrite=is_another)
    run_step(command, session.bundle, session.deadline)
    kept = take_run([run.path], session.run_dir, checkpoints=False)
    return _submit(session, {kept: _folds_in(folds_csv, _column_of(kept))})


def ensemble(session: Session) -> str:
    """Blend the runs of earlier kernels."""
    runs = {}
    for name in dict.fromkeys(run.name for run in session.runs):
        sources = [run.path for run in session.runs if run.name == name]
        folds_csv = _folds_csv_of(session, RunFolder(sources[0]))
        # Scratch: the parts are the outputs of other kernels already.
        place = session.scratch / "runs" / name
        run = take_run(sources, place, session.data_dir, folds_csv, checkpoints=False)
        runs[run] = _folds_in(folds_csv, _column_of(run))
    return _submit(session, runs)


def _submit(session: Session, runs: dict[RunFolder, list[int]]) -> str:
    """Blend runs, each given with the folds it has when it is whole."""
    are_missing = any(run.finished_folds() != known for run, known in runs.items())
    paths = [run.path for run in runs]
    command = submission_command(session, paths, session.run_dir, are_missing)
    run_step(command, session.bundle)
    made = RunFolder(session.run_dir).submission_csv
    if not made.is_file():
        return f"done: no test set, so {session.run_dir / 'oof.csv'} is all there is."
    place = write_bytes(session.working / made.name, made.read_bytes())
    folds = sorted({fold for run in runs for fold in run.finished_folds()})
    n_folds = max(map(len, runs.values()))
    return f"done: {place} rests on fold {name_some(folds)} of {n_folds}."


def _missing(run: RunFolder, asked: Iterable[int], unpredicted: list[int]) -> str:
    """What is missing of the folds asked for, for the end of the last line; empty for nothing."""
    unfinished = [run.fold(number) for number in asked if not run.fold(number).is_done]
    states = {
        "is trained in part": [fold.number for fold in unfinished if fold.is_begun],
        "has not been begun": [fold.number for fold in unfinished if not fold.is_begun],
        "has no test predictions": unpredicted,
    }
    found = [f"fold {name_some(folds)} {state}" for state, folds in states.items() if folds]
    if not found:
        return ""
    return f" The time is up: {', '.join(found)}. Push again with --resume to go on from there."


def _folds_csv(session: Session) -> Path:
    """The fold file, among the outputs, for the kernels that come after this one."""
    job, folder = session.job, session.working / "folds"
    if job.folds_csv:
        return copy_folds(session.bundle / job.folds_csv, folder)
    if session.runs:
        return copy_folds(_folds_csv_of(session, RunFolder(session.sources[0])), folder)
    made = folder / "folds.csv"
    run_step(create_folds_command(session, made), session.bundle)
    return made


def _folds_csv_of(session: Session, run: RunFolder) -> Path:
    """The fold file that a run was made with, known by its checksum."""
    own = [session.bundle / session.job.folds_csv] if session.job.folds_csv else []
    found = find_folds_csv(run.tables_json, [*own, *session.fold_files])
    if found is None:
        raise RunError(
            f"{run.path}: the fold file it was made with is not attached. Give it with --folds-csv "
            "when you push, or name the kernel that made it."
        )
    return found


def _folds_in(folds_csv: Path, column: str) -> list[int]:
    folds = read_fold_column(folds_csv, column)
    return sorted(set(folds[folds >= 0].tolist()))


def _asked(session: Session, known: list[int]) -> list[int]:
    text = session.job.folds
    try:
        return known if text == _ALL else sorted({int(number) for number in text.split(",")})
    except ValueError:
        raise ConfigError(
            f"--fold {text}: not understood. Give a number (0), several (0,2), or all."
        ) from None


def _column_of(run: RunFolder) -> str:
    return str((run.read_config().get("data") or {}).get("fold_column") or FOLD)


def _read_recipe(session: Session) -> dict[str, Any]:
    path = session.bundle / (session.job.config or "")
    content = yaml.safe_load(path.read_text(encoding="utf-8"))
    return content if isinstance(content, dict) else {}


def _test_table(session: Session) -> Path:
    path = test_csv(session.data_dir)
    if not path.is_file():
        raise ConfigError(
            f"{session.data_dir}: no test.csv there, so there is nothing to predict. Attach the "
            "competition, and push again."
        )
    return path
