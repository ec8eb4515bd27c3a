"""Starting from a checkpoint of an earlier run, which must not have seen what is validated."""

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from melanoma.errors import ConfigError, name_some
from melanoma.files import read_object
from melanoma.run_folder import FoldFolder, RunFolder
from melanoma.run_tables import EXTERNAL, FOLDS, TRAIN
from melanoma.tables import FOLD


def check_warm_start(
    weights: str, data: Mapping[str, Any], tables: Mapping[str, str], folds: Sequence[int]
) -> None:
    """Refuse weights that were trained on images which a fold validates.

    Runs keep the checksums of the tables they are made from, so that this is seen of any checkpoint
    in a run folder. A fold may start from that of the same number in a run of the same fold file,
    as when training goes on with larger photographs.

    Args:
        weights: none, imagenet, or the path of a file.
        data: Section `data` of the configuration.
        tables: The SHA-256 of each table of this run, by its name in `tables.json`.
        folds: That are to be trained.

    Raises:
        ConfigError: Naming the folds that would be scored by a network which knows the answers.
    """
    folder = next((p for p in Path(weights).parents if re.fullmatch(r"fold_\d+", p.name)), None)
    if folder is None:
        return
    run = RunFolder(folder.parent)
    theirs = read_object(run.tables_json)
    if tables[TRAIN] not in (theirs.get(TRAIN), theirs.get(EXTERNAL)):
        return  # other images, or no run of ours
    number = FoldFolder(folder).number
    clean = [number] if _has_same_folds(run, theirs, data, tables) else []
    told = [fold for fold in folds if fold not in clean]
    if told:
        raise ConfigError(
            f"--model.weights {weights}: was trained on images that fold {name_some(told)} validates "
            "here, so the score would be that of a network which knows the answers. Take weights of "
            "other images, or start each fold from its own number in a run of the same fold file "
            f"(--fold {number} from fold_{number})."
        )


def _has_same_folds(
    run: RunFolder, theirs: Mapping[str, Any], data: Mapping[str, Any], tables: Mapping[str, str]
) -> bool:
    before = run.read_config().get("data") or {}
    is_same_column = before.get("fold_column", FOLD) == data["fold_column"]
    has_same_tables = all(theirs.get(name) == tables[name] for name in (TRAIN, FOLDS))
    return is_same_column and has_same_tables
