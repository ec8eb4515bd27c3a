"""The tables that a run is made from, by the names under which it keeps their checksums."""

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from melanoma.files import read_object, sha256_of
from melanoma.tables import train_csv

TRAIN, FOLDS, EXTERNAL = "train.csv", "the fold file", "the external table"


def tables_made_from(settings: Mapping[str, Any], data_dir: Path) -> dict[str, Path]:
    """Where the tables of a run are.

    Args:
        settings: Section `data` of its configuration.
        data_dir: The competition folder, which may be elsewhere than the settings say.
    """
    tables = {TRAIN: train_csv(data_dir), FOLDS: Path(settings.get("folds_csv") or "")}
    external = settings.get("external_csv")
    return tables | ({EXTERNAL: Path(external)} if external else {})


def hash_tables(tables: Mapping[str, Path]) -> dict[str, str]:
    """The SHA-256 of each table, by its name, as `tables.json` has them."""
    return {name: sha256_of(path) for name, path in tables.items()}


def find_folds_csv(tables_json: Path, candidates: Iterable[Path]) -> Path | None:
    """The fold file that a run was made with, known by its checksum.

    Args:
        tables_json: Of the run.
        candidates: Where it may be; of several that have it, the first is given.

    Returns:
        None where none of them is it.
    """
    wanted = read_object(tables_json).get(FOLDS)
    return next((path for path in candidates if path.is_file() and sha256_of(path) == wanted), None)
