"""The photographs behind an address, listed once: their names, sizes and versions."""

from pathlib import Path
from typing import Literal

import pandas as pd

from melanoma.errors import RemoteError, TableError, name_some
from melanoma.remote.storage import Entry, Storage
from melanoma.tables import BYTES, IMAGE_NAME, INDEX_COLUMNS, PHASH, SPLIT, read_table

FOLDER, NAME, VERSION = "folder", "name", "version"
COLUMNS = [FOLDER, NAME, BYTES, VERSION]

_SPLITS: tuple[Literal["train", "test"], ...] = ("train", "test")


def list_photographs(storage: Storage, images_csv: Path) -> pd.DataFrame:
    """List the photographs of a competition folder.

    Where it has an images.csv, that is believed: millions of files are not asked for one by one.
    Else the folders of photographs are listed: `jpeg/<split>`, `<split>`, or the folder itself.

    Args:
        storage: The competition folder.
        images_csv: Its table of photographs, downloaded; it need not exist.

    Returns:
        folder ("" for the competition folder itself), name, bytes, version; a row per file.

    Raises:
        RemoteError: If the place does not tell sizes, or cannot be listed.
        TableError: If images.csv cannot be used.
    """
    if images_csv.is_file():
        listed = _from_table(images_csv)
        _check_samples(storage, listed)
        return listed
    rows = [(folder, *entry) for folder, found in _folders(storage).items() for entry in found]
    listed = pd.DataFrame(rows, columns=[FOLDER, NAME, BYTES, VERSION])[COLUMNS]
    if listed[BYTES].isna().any():
        raise RemoteError(
            f"{storage.address}: does not tell how large its files are, as web servers do. Put an "
            "images.csv there: scripts/prepare_images.py writes one beside its copies."
        )
    return listed.fillna({VERSION: ""})


def write_listing(listed: pd.DataFrame, path: Path) -> None:
    """Write a listing as CSV."""
    listed.to_csv(path, index=False, lineterminator="\n")


def read_listing(path: Path) -> pd.DataFrame:
    """Read what `write_listing` has written."""
    text = dict.fromkeys((FOLDER, NAME, VERSION), "str")
    return pd.read_csv(path, dtype={**text, BYTES: "int64"}, keep_default_na=False)


def _from_table(images_csv: Path) -> pd.DataFrame:
    table = read_table(images_csv, INDEX_COLUMNS)
    sizes = pd.to_numeric(table[BYTES], errors="coerce")
    wrong = table[[IMAGE_NAME, SPLIT]].isna().any(axis=1) | sizes.isna()
    if wrong.any():
        raise TableError(
            f"{images_csv}: line {name_some(table.index[wrong] + 2)}: no {IMAGE_NAME}, {SPLIT} or "
            f"{BYTES}. Make it again with scripts/prepare_images.py, or remove it: the photographs are "
            "then listed one by one."
        )
    return pd.DataFrame(
        {
            FOLDER: "jpeg/" + table[SPLIT],
            NAME: table[IMAGE_NAME] + ".jpg",
            BYTES: sizes.astype("int64"),
            VERSION: table[PHASH].fillna(""),
        }
    )


def _check_samples(storage: Storage, listed: pd.DataFrame) -> None:
    """Look for the first photograph of each folder: a table may lie beside other photographs."""
    first = listed.drop_duplicates(FOLDER)
    names = [f"{folder}/{name}" for folder, name in zip(first[FOLDER], first[NAME])]
    missing = sorted(set(names) - storage.find(names).keys())
    if missing:
        raise RemoteError(
            f"{storage.address}: images.csv lists {name_some(missing)}, which is not there. Copy the "
            "photographs there, or remove images.csv if it belongs to others."
        )


def _folders(storage: Storage) -> dict[str, list[Entry]]:
    """The files of each folder with photographs: of the first that is there of their places."""
    found: dict[str, list[Entry]] = {}
    for split in _SPLITS:
        for folder in (f"jpeg/{split}", split, ""):
            files = found[folder] if folder in found else storage.list_files(folder)
            if files is not None:
                found[folder] = files
                break
    return found
