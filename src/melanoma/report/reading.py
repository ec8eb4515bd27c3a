"""Reading runs for a report: what is finished is shown, what is missing is said."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from melanoma.ensemble.blending import Blended, blend_runs
from melanoma.ensemble.elsewhere import find_test_patients
from melanoma.ensemble.epochs import EpochChoice
from melanoma.ensemble.options import DEFAULT_OUT_DIR
from melanoma.ensemble.predictions import Predictions
from melanoma.ensemble.review import Review, review_runs
from melanoma.ensemble.runs import read_run
from melanoma.ensemble.sources import Source, check_given_once, join_sources
from melanoma.ensemble.table import Row
from melanoma.errors import ConfigError, RunError, name_some
from melanoma.folds.balance import Balance, judge_folds
from melanoma.folds.files import read_folds
from melanoma.folds.groups import join_groups
from melanoma.metrics.checks import Floats
from melanoma.remote.opening import folder_if_there, folder_of_run
from melanoma.report.parts import Missing
from melanoma.run_folder import RunFolder
from melanoma.tables import (
    FOLD,
    IMAGE_NAME,
    OOF_COLUMNS,
    PREDICTION,
    read_sample_submission,
    read_table,
    train_csv,
)


@dataclass(frozen=True)
class Material:
    """What is reported on.

    Attributes:
        runs: Their folders.
        configs: Their configurations.
        predictions: Of the runs, of the folds that all of them have finished.
        blended: The blend of several runs, or the only run; with its scores.
        review: What was found in looking at the predictions.
        rows: A row per image predicted out of fold, with the columns of train.csv where it is there.
        data_dir: The competition folder; it need not be there.
        folds_csv: The fold file; it need not be there.
        known_folds: All folds there are, finished or not.
        missing: What could not be had so far.
        epochs: By run, the epochs of each fold; empty for a run that chooses none.
    """

    runs: list[RunFolder]
    configs: list[dict[str, Any]]
    predictions: Predictions
    blended: Blended
    review: Review
    rows: pd.DataFrame
    data_dir: Path
    folds_csv: Path
    known_folds: list[int]
    missing: Missing
    epochs: list[Mapping[int, EpochChoice]]

    @property
    def folds(self) -> list[int]:
        """The folds that are reported on."""
        return sorted(set(self.predictions.folds.tolist()))

    @property
    def prefer_suffix(self) -> str | None:
        """Which file is the photograph where an image name has several, as the first run has it."""
        suffix = (self.configs[0].get("data") or {}).get("prefer_suffix")
        return None if suffix is None else str(suffix)

    @property
    def title(self) -> str:
        """The runs by name."""
        return ", ".join(self.predictions.names)

    @cached_property
    def scores(self) -> Floats:
        """The predictions that are reported on, shape (n,): out of fold."""
        if self.blended.shown is None:
            raise ValueError("a blend of runs has out-of-fold predictions")
        return self.blended.shown

    @cached_property
    def balance(self) -> Balance:
        """How even the folds are that are reported on."""
        fold = self.rows[FOLD].to_numpy(dtype=np.int64)
        return judge_folds(self.rows, fold, join_groups(self.rows))

    @property
    def row(self) -> Row:
        """What they are worth."""
        if self.blended.chosen is None:
            raise ValueError("a blend of runs has scores")
        return self.blended.chosen

    @property
    def are_probabilities(self) -> bool:
        """Whether the scores are probabilities, not ranks."""
        return self.row.brier_score is not None

    @property
    def best_run(self) -> int:
        """The place of the run with the highest AUC: whose networks are looked into."""
        rows = self.blended.rows[: len(self.runs)]
        return max(range(len(rows)), key=lambda place: rows[place].pooled_auc)


@dataclass(frozen=True)
class _Tables:
    train: pd.DataFrame
    known_folds: list[int]
    data_dir: Path
    folds_csv: Path
    are_there: bool


def read_material(run_dirs: Sequence[Path], data_dir: Path | None = None) -> Material:
    """Read what runs have left, and score it with the functions of build_submission.py.

    Several runs are blended by whatever `--method best` chooses; one run is reported as it is.

    Args:
        run_dirs: The folders that scripts/train_folds.py wrote; not all folds need be finished.
        data_dir: The competition folder; by default where the first run's configuration says.

    Raises:
        ConfigError: If no run is given, or one twice.
        RunError: If a folder is no run, or no fold is finished in all of them.
        TableError: If tables contradict each other, or cannot be read.
    """
    if not run_dirs:
        raise ConfigError("no run to report on. Give --run-dir with the folders of runs.")
    check_given_once(run_dirs, "--run-dir")
    # In the ensembler's order, so that the last digits are its own.
    runs, missing = [RunFolder(path) for path in sorted(run_dirs, key=str)], Missing()
    configs = [run.read_config() for run in runs]
    finished = _finished_folds(runs)
    tables = [_read_tables(run, config, data_dir) for run, config in zip(runs, configs)]
    sources = [
        _read_source(run, config, of_run, finished, missing)
        for run, config, of_run in zip(runs, configs, tables)
    ]
    predictions = join_sources(sources)
    first = tables[0]
    known = first.known_folds if first.are_there else _begun_folds(runs)
    _note_missing(runs, first, sorted(set(known) - set(finished)), missing)
    return Material(
        runs,
        configs,
        predictions,
        blend_runs(predictions, "best" if len(runs) > 1 and len(finished) > 1 else "mean"),
        review_runs(predictions, find_test_patients(predictions.test_names, first.data_dir)),
        _rows_of(first.train, predictions),
        first.data_dir,
        first.folds_csv,
        known,
        missing,
        [source.epochs for source in sources],
    )


def default_output(run_dirs: Sequence[Path]) -> Path:
    """Where a report goes unless told otherwise: to the only run, else beside the blend."""
    folder = run_dirs[0] if len(run_dirs) == 1 else DEFAULT_OUT_DIR
    return folder / "report.html"


def _finished_folds(runs: Sequence[RunFolder]) -> list[int]:
    finished = set.intersection(*(set(run.finished_folds()) for run in runs))
    if not finished:
        of_all = " in all of them" if len(runs) > 1 else ""
        raise RunError(
            f"{name_some(run.path for run in runs)}: no fold is finished{of_all}, so there is nothing "
            f"to report on. Train with scripts/train_folds.py --config {runs[0].config_yaml} "
            "--fold all."
        )
    return sorted(finished)


def _read_tables(run: RunFolder, config: dict[str, Any], data_dir: Path | None) -> _Tables:
    settings = config.get("data") or {}
    folder = folder_of_run(settings, data_dir) if data_dir else folder_if_there(settings)
    folds_csv = Path(settings.get("folds_csv") or "")
    if not (train_csv(folder).is_file() and folds_csv.is_file()):
        # A run that was copied from another machine says enough by itself.
        own = [read_table(run.fold(k).oof_csv, OOF_COLUMNS) for k in run.finished_folds()]
        train = pd.concat(own, ignore_index=True).drop(columns=PREDICTION)
        return _Tables(train, [], folder, folds_csv, False)
    train = read_folds(folds_csv, folder, settings.get("fold_column", FOLD))
    return _Tables(train, sorted(set(train[FOLD].tolist())), folder, folds_csv, True)


def _read_source(
    run: RunFolder,
    config: dict[str, Any],
    tables: _Tables,
    finished: list[int],
    missing: Missing,
) -> Source:
    train = tables.train[tables.train[FOLD].isin(finished)].reset_index(drop=True)
    unpredicted = [fold for fold in finished if not run.fold(fold).test_csv.is_file()]
    if unpredicted:
        missing.add(
            "scores",
            f"{run.path.name}: no test predictions of fold {name_some(unpredicted)}. They are made by "
            f"scripts/predict_folds.py --run-dir {run.path}, where there is a test.csv.",
        )
    form = read_sample_submission(tables.data_dir)
    return read_run(run, config, train, form, tables.data_dir, with_test=not unpredicted)


def _begun_folds(runs: Sequence[RunFolder]) -> list[int]:
    return sorted({number for run in runs for number in run.begun_folds()})


def _note_missing(
    runs: Sequence[RunFolder], tables: _Tables, unfinished: list[int], missing: Missing
) -> None:
    if unfinished:
        missing.add(
            "folds",
            f"fold {name_some(unfinished)} not finished: everything here rests on the others. Train "
            f"with scripts/train_folds.py --config {runs[0].config_yaml} "
            f"--fold {','.join(map(str, unfinished))}.",
        )
    if not tables.are_there:
        note = (
            f"{train_csv(tables.data_dir)} or {tables.folds_csv} is not here, so that nothing is known "
            "of the images but their patients. Give the competition folder as --data-dir."
        )
        for section in ("groups", "photographs", "folds"):
            missing.add(section, note)


def _rows_of(train: pd.DataFrame, predictions: Predictions) -> pd.DataFrame:
    rows = train.set_index(IMAGE_NAME).loc[predictions.table[IMAGE_NAME]].reset_index()
    return rows.assign(**{FOLD: predictions.folds})
