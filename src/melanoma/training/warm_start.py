"""Starting from a checkpoint of an earlier run, which must not have seen what is validated."""

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from melanoma.errors import ConfigError, MelanomaError, name_some
from melanoma.files import read_object
from melanoma.folds.files import EXCLUDED, read_external, read_folds
from melanoma.identifiers import hash_forms, normal_form
from melanoma.models.weights import images_of_checkpoint
from melanoma.run_folder import FoldFolder, RunFolder
from melanoma.run_tables import EXTERNAL, FOLDS, TRAIN, hash_tables, tables_made_from
from melanoma.tables import FOLD, IMAGE_NAME, read_labelled

# Of images, as `hash_forms` numbers them.
Hashes = npt.NDArray[np.int64]


def check_warm_start(
    weights: str, data: Mapping[str, Any], tables: Mapping[str, str], folds: Sequence[int]
) -> str | None:
    """Refuse weights that were trained on images which a fold validates.

    A checkpoint holds the hashed names of the images it was trained on, so that this is seen wherever
    it lies, whatever its tables were called. Of older ones it is known what the tables in their run
    folder tell. A fold may start from that of the same number in a run of the same folds, as when
    training goes on with larger photographs.

    Args:
        weights: none, imagenet, or the path of a file.
        data: Section `data` of the configuration.
        tables: The SHA-256 of each table of this run, by its name in `tables.json`.
        folds: That are to be trained.

    Returns:
        A line that says so, if it is not known what the weights were trained on; otherwise None.

    Raises:
        ConfigError: Naming the folds that would be scored by a network which knows the answers.
    """
    if weights in ("none", "imagenet"):
        return None
    seen = images_of_checkpoint(weights)
    if seen is None:
        seen = _seen_by_older(weights, data, tables)
    if seen is None:
        return (
            f"--model.weights {weights}: it does not say which images it was trained on, so that it "
            "cannot be checked whether any of them is validated here. If so, the score is flattered."
        )
    train = read_folds(Path(data["folds_csv"]), Path(data["data_dir"]), data["fold_column"])
    names = train.loc[np.isin(_hashes(train), seen) & train[FOLD].isin(folds)]
    if len(names):
        told = sorted(names[FOLD].unique())
        raise ConfigError(
            f"--model.weights {weights}: was trained on images that fold {name_some(told)} validates "
            f"here ({name_some(names[IMAGE_NAME])}), so the score would be that of a "
            "network which knows the answers. Take weights of other images, or start each fold from "
            "its own number in a run of the same fold file (--fold 1 from fold_1)."
        )
    return None


def _seen_by_older(
    weights: str, data: Mapping[str, Any], tables: Mapping[str, str]
) -> Hashes | None:
    """What a checkpoint that does not tell was trained on, by the tables of the run it lies in."""
    folder = next((p for p in Path(weights).parents if re.fullmatch(r"fold_\d+", p.name)), None)
    if folder is None:
        return None
    run, number = RunFolder(folder.parent), FoldFolder(folder).number
    theirs = read_object(run.tables_json)
    before = run.read_config().get("data") or {}
    # Where they were, else where they are now: with other names or in other places, the same tables.
    for settings in (before, {**data, "fold_column": before.get("fold_column", FOLD)}):
        if _are_of(settings, theirs):
            return _trained_on(settings, number)
    if tables[TRAIN] in (theirs.get(TRAIN), theirs.get(EXTERNAL)):
        # Of which images of the table, its fold file would tell, and that is gone.
        return _hashes(read_labelled(tables_made_from(data, Path(data["data_dir"]))[TRAIN]))
    return None


def _are_of(settings: Mapping[str, Any], theirs: Mapping[str, Any]) -> bool:
    if not {"data_dir", "folds_csv"} <= set(settings):
        return False
    try:
        found = hash_tables(tables_made_from(settings, Path(settings["data_dir"])))
    except (OSError, MelanomaError):
        return False  # no longer there
    return all(found.get(name) == theirs.get(name) for name in (TRAIN, FOLDS, EXTERNAL))


def _trained_on(settings: Mapping[str, Any], fold: int) -> Hashes:
    place = Path(settings["folds_csv"]), Path(settings["data_dir"])
    column = settings.get("fold_column", FOLD)
    external_csv = settings.get("external_csv")
    train = read_folds(*place, column)
    external = read_external(*place, Path(external_csv) if external_csv else None, column)
    seen = [_hashes(train[train[FOLD] != fold])]
    if external is not None:
        seen.append(_hashes(external[external[EXCLUDED] != fold]))
    return np.concatenate(seen)


def _hashes(images: pd.DataFrame) -> Hashes:
    return hash_forms(normal_form(images[IMAGE_NAME]))
