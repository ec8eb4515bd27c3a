"""Which epoch the other folds would have chosen, so that no fold is scored by its own choice."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from melanoma.ensemble.alignment import positions_of
from melanoma.epoch_predictions import EpochPredictions, read_epoch_predictions
from melanoma.errors import RunError
from melanoma.metrics import auc
from melanoma.run_folder import BEST, PREDICT_FROM, FoldFolder, RunFolder
from melanoma.tables import FOLD, IMAGE_NAME, TARGET, read_table

# Columns beside those of oof.csv: one view's prediction at the fold's own and at the honest epoch.
OWN_EPOCH, HONEST_EPOCH = "own_epoch", "honest_epoch"
# With fewer other folds, what they have in common says little about a further one.
_FEWEST_OTHERS = 2

# A validation: its epoch from 0, and its number within the epoch.
Validation = tuple[int, int]


@dataclass(frozen=True)
class EpochChoice:
    """The epochs of one fold, counted from 1.

    Attributes:
        own: The epoch that the fold predicts from.
        honest: The epoch that the other folds choose.
    """

    own: int
    honest: int


def chooses_epoch(config: Mapping[str, Any]) -> bool:
    """Whether a run chooses epochs by the rows that it is scored on."""
    patience = config.get("early_stopping_patience")
    return config.get(PREDICT_FROM, BEST) == BEST or patience is not None


def honest_validations(
    curves: Mapping[int, Mapping[Validation, float]], wait: int = 0
) -> dict[int, Validation]:
    """Choose each fold's epoch by the other folds.

    The choice is the validation with the highest mean AUC over the other folds, each fold's AUCs
    taken relative to its mean over the validations that all others have: folds that stop early would
    otherwise change the mean by their level. Ties go to the earliest.

    Args:
        curves: By fold, the AUC after each of its validations.
        wait: Epochs from the chosen one to the one that predicts: the patience of early stopping
            where the last epoch predicts. The fold's last validation is the limit.

    Returns:
        The validation of each fold; no entry for a fold that fewer than two others can choose for.
    """
    validations = sorted({key for curve in curves.values() for key in curve})
    aucs = np.array([[curve.get(key, np.nan) for key in validations] for curve in curves.values()])
    chosen: dict[int, Validation] = {}
    for place, fold in enumerate(curves):
        others = np.delete(aucs, place, axis=0)
        own = ~np.isnan(aucs[place])
        known = ~np.isnan(others)
        candidates = np.flatnonzero(own & (known.sum(axis=0) >= _FEWEST_OTHERS))
        if not candidates.size or not known.all(axis=0).any():
            continue
        relative = others - others[:, known.all(axis=0)].mean(axis=1, keepdims=True)
        best = validations[candidates[np.nanmean(relative[:, candidates], axis=0).argmax()]]
        limit = (best[0] + wait, math.inf) if wait else best
        chosen[fold] = max(
            validations[at] for at in np.flatnonzero(own) if validations[at] <= limit
        )
    return chosen


def add_epochs(
    run: RunFolder, config: Mapping[str, Any], oof: pd.DataFrame
) -> tuple[pd.DataFrame, dict[int, EpochChoice]]:
    """Add what one view predicts at the own and at the honest epoch, where a run chooses epochs.

    Args:
        run: Its folds are finished.
        config: As `RunFolder.read_config` gives it.
        oof: As `read_oof` gives it.

    Returns:
        The table with the columns `OWN_EPOCH` and `HONEST_EPOCH`, and the epochs by fold. The table
        alone, and no epochs, where nothing is chosen, fewer than three folds are finished, or a fold
        has no `epochs.npz`.

    Raises:
        RunError: If `epochs.npz` cannot be read, or is of other images than `oof.csv`.
    """
    by_fold = {run.fold(int(fold)): oof[oof[FOLD] == fold] for fold in np.unique(oof[FOLD])}
    if not chooses_epoch(config) or not all(folder.epochs_npz.is_file() for folder in by_fold):
        return oof, {}
    kept = {folder.number: _read(folder, rows) for folder, rows in by_fold.items()}
    curves = {
        folder.number: _curve(kept[folder.number], rows[TARGET].to_numpy())
        for folder, rows in by_fold.items()
    }
    is_best = config[PREDICT_FROM] == BEST
    honest = honest_validations(curves, 0 if is_best else int(config["early_stopping_patience"]))
    if len(honest) < len(by_fold):
        return oof, {}
    epochs, columns = {}, []
    for folder, rows in by_fold.items():
        number, curve = folder.number, curves[folder.number]
        known = [key for key, value in curve.items() if not np.isnan(value)]
        own = max(known, key=lambda key: curve[key]) if is_best else known[-1]
        epochs[number] = EpochChoice(own[0] + 1, honest[number][0] + 1)
        places = [list(curve).index(key) for key in (own, honest[number])]
        predictions = kept[number].prediction[places].astype(np.float64)
        columns.append(pd.DataFrame(predictions.T, rows.index, [OWN_EPOCH, HONEST_EPOCH]))
    return oof.join(pd.concat(columns)), epochs


def _curve(kept: EpochPredictions, targets: npt.NDArray[np.int64]) -> dict[Validation, float]:
    """The AUC after each validation, in order; nan where it does not exist."""
    epochs = kept.epoch.tolist()
    validations = [(epoch, epochs[:place].count(epoch)) for place, epoch in enumerate(epochs)]
    aucs = [np.nan if np.isnan(row).any() else auc(targets, row) for row in kept.prediction]
    return dict(zip(validations, aucs))


def _read(folder: FoldFolder, rows: pd.DataFrame) -> EpochPredictions:
    """Read the epochs of a fold and put their predictions into the order of its rows."""
    kept = read_epoch_predictions(folder.epochs_npz)
    table = read_table(folder.oof_csv, [IMAGE_NAME])
    if kept.prediction.shape[1] != len(table):
        raise RunError(
            f"{folder.epochs_npz}: predictions of {kept.prediction.shape[1]} images, but "
            f"{folder.oof_csv.name} has {len(table)}. Train that fold again with --overwrite."
        )
    order = positions_of(rows[IMAGE_NAME], table, folder.oof_csv, "this fold", "")
    return replace(kept, prediction=kept.prediction[:, order])
