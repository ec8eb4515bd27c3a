"""Reading runs: their folds' predictions, with the tables they were made from."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from melanoma.ensemble.alignment import positions_of
from melanoma.ensemble.epochs import add_epochs, chooses_epoch
from melanoma.ensemble.oof import read_oof
from melanoma.ensemble.repeats import repeat_of
from melanoma.ensemble.sources import Source
from melanoma.errors import RunError, name_some
from melanoma.files import read_object
from melanoma.folds.files import read_folds
from melanoma.metrics.checks import Floats
from melanoma.remote.opening import folder_of_run
from melanoma.run_folder import RunFolder
from melanoma.run_tables import FOLDS
from melanoma.tables import (
    FOLD,
    IMAGE_NAME,
    PREDICTION,
    PREDICTION_COLUMNS,
    check_image_names,
    check_probabilities,
    read_sample_submission,
    read_table,
    sample_submission_csv,
    test_csv,
)


def read_runs(
    run_dirs: Sequence[Path], data_dir: Path | None = None, allow_missing_folds: bool = False
) -> list[Source]:
    """Read the predictions of runs, all their folds finished.

    Args:
        run_dirs: The folders that scripts/train_folds.py wrote.
        data_dir: The competition folder; by default where each run's configuration says it was.
        allow_missing_folds: Take the folds that are finished in all of the runs; the images of others
            are left out.

    Raises:
        RunError: If a folder is no run, or folds are missing.
        TableError: If a table has missing, unknown or repeated images, or values that are no
            probabilities.
    """
    tables: dict[tuple[Path, Path, str], pd.DataFrame] = {}
    forms: dict[Path, pd.DataFrame | None] = {}
    runs = [RunFolder(path) for path in run_dirs]
    configs = [run.read_config() for run in runs]
    columns = {(config.get("data") or {}).get("fold_column", FOLD) for config in configs}
    # The folds of different columns have no images in common: of repeats all have to be finished.
    finished = _finished_in_all(runs) if allow_missing_folds and len(columns) == 1 else None
    sources = []
    for run, config in zip(runs, configs):
        settings = config["data"]
        folder = folder_of_run(settings, data_dir)
        made_from = folder, Path(settings["folds_csv"]), settings.get("fold_column", FOLD)
        # Runs mostly share their tables, which are read once.
        if made_from not in tables:
            tables[made_from] = read_folds(made_from[1], folder, made_from[2])
        if folder not in forms:
            forms[folder] = read_sample_submission(folder)
        train = tables[made_from]
        if finished is not None:
            train = train[train[FOLD].isin(finished)]
        sources.append(read_run(run, config, train, forms[folder], folder))
    return sources


def _finished_in_all(runs: Sequence[RunFolder]) -> set[int]:
    """The folds that each of the runs has finished."""
    by_run = [run.finished_folds() for run in runs]
    for run, folds in zip(runs, by_run):
        if not folds:
            raise RunError(
                f"{run.path}: no fold is finished, so there is nothing to build from. Train with "
                f"scripts/train_folds.py --config {run.config_yaml} --fold all."
            )
    common = set(by_run[0]).intersection(*by_run[1:])
    if not common:
        named = "; ".join(f"{run.path}: {name_some(folds)}" for run, folds in zip(runs, by_run))
        raise RunError(
            f"no fold is finished in all of the runs, so there is nothing to blend ({named}). Train "
            "the same folds of each, or leave one out."
        )
    return common


def read_run(
    run: RunFolder,
    config: Mapping[str, Any],
    train: pd.DataFrame,
    form: pd.DataFrame | None,
    data_dir: Path,
    with_test: bool = True,
) -> Source:
    """Read the predictions of one run.

    Args:
        run: All folds in `train` are finished.
        config: Its configuration.
        train: As `read_folds` gives it.
        form: The form of a submission; None where there is none.
        data_dir: The competition folder.
        with_test: Whether test predictions are read.

    Raises:
        RunError, TableError: As `read_runs`.
    """
    oof, epochs = add_epochs(run, config, read_oof(run, train))
    is_flattered = chooses_epoch(config) and not epochs
    folds = [run.fold(int(number)) for number in sorted(train[FOLD].unique())]
    oof_files = [fold.oof_csv for fold in folds] + [fold.epochs_npz for fold in folds if epochs]
    paths = [fold.test_csv for fold in folds]
    test_files = _test_files(run, paths, data_dir) if with_test else []
    source = Source(
        run.path,
        oof,
        files=(*oof_files, *test_files),
        data_dir=data_dir,
        epochs=epochs,
        is_flattered=is_flattered,
        repeat=repeat_of(config, _folds_file(run, config)),
    )
    if not test_files:
        return source
    run.check_one_test_set(fold.number for fold in folds)
    if form is None:
        wanted_by, wanted = str(test_files[0]), _first_names(test_files[0])
        remedy = (
            "Folds that predict different images cannot be averaged: predict them again with "
            "scripts/predict_folds.py --overwrite."
        )
    else:
        wanted_by, wanted = str(sample_submission_csv(data_dir)), form[IMAGE_NAME]
        remedy = (
            "Check that test.csv and sample_submission.csv belong together, then predict again with "
            "scripts/predict_folds.py --overwrite."
        )
    networks = [_read_test(path, wanted, wanted_by, remedy) for path in test_files]
    return replace(source, test_names=wanted, test=np.array(networks))


def _folds_file(run: RunFolder, config: Mapping[str, Any]) -> str:
    """The checksum of the run's fold file, or its path where the checksum is not known."""
    settings = config.get("data") or {}
    return str(read_object(run.tables_json).get(FOLDS) or settings.get("folds_csv"))


def _test_files(run: RunFolder, paths: list[Path], data_dir: Path) -> list[Path]:
    absent = [path for path in paths if not path.is_file()]
    if len(absent) == len(paths) and not test_csv(data_dir).exists():
        return []
    if absent:
        raise RunError(
            f"no test predictions {name_some(absent)}. Predict them, with test.csv and its images "
            f"in {data_dir}: scripts/predict_folds.py --run-dir {run.path}"
        )
    return paths


def _first_names(path: Path) -> "pd.Series[str]":
    table = read_table(path, PREDICTION_COLUMNS)
    check_image_names(table, path)
    return table[IMAGE_NAME]


def _read_test(path: Path, wanted: "pd.Series[str]", wanted_by: str, remedy: str) -> Floats:
    table = read_table(path, PREDICTION_COLUMNS)
    positions = positions_of(wanted, table, path, wanted_by, remedy)
    check_probabilities(table, PREDICTION, path)
    return table[PREDICTION].to_numpy(dtype=np.float64)[positions]
