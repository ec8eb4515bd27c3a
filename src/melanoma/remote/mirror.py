"""The folder of this machine that stands for a competition folder behind an address.

It looks like one: the tables are there, fetched again when they change, and `jpeg/train` and the
like. Photographs come when they are read (see `melanoma.remote.photographs`), up to a size.

What is in it besides:
    mirror.json      the address, the bytes that photographs may take, the version of each table
    photographs.csv  the listing, and photographs.json: the tables it was made for
    kept_bytes       what the photographs take
"""

import re
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import lru_cache
from hashlib import sha256
from pathlib import Path
from typing import Any

import pandas as pd
from filelock import FileLock

from melanoma.errors import NAMED_VALUES, RemoteError, name_some
from melanoma.files import read_object, write_atomically, write_json, writing_explained
from melanoma.identifiers import hash_forms
from melanoma.remote.keeping import tidy, trim
from melanoma.remote.listing import FOLDER, NAME, list_photographs, read_listing, write_listing
from melanoma.remote.storage import Entry, Storage
from melanoma.tables import BYTES

_INDEX = "images.csv"
# All that a competition folder holds besides photographs and that anything here reads.
_TABLES = ("train.csv", "test.csv", "sample_submission.csv", _INDEX, "prepare.json")
# A photograph lies this far below its competition folder at most: jpeg/train.
_DEPTH = 2
# A photograph that is replaced by another is seen by then.
_RELISTED_S = 600


@dataclass(frozen=True)
class Mirror:
    """A mirror that `open_mirror` has made.

    Attributes:
        folder: Of this machine.
        storage: What it stands for.
        most_bytes: What the photographs may take.
        tables: The version of each table.
    """

    folder: Path
    storage: Storage
    most_bytes: int
    tables: dict[str, Any]

    def listing(self, anew: bool = False) -> pd.DataFrame:
        """The photographs there are, as of `list_photographs`.

        Listed again where a table has changed since, where told to, and after ten minutes where no
        images.csv, whose version is known, tells of photographs. Those that have changed or gone by
        that are removed here.

        Raises:
            RemoteError, TableError: If they cannot be listed.
        """
        path, made_for = self.folder / "photographs.csv", self.folder / "photographs.json"
        with _locked(self.folder):
            is_fresh = read_object(made_for).get("tables") == self.tables
            if path.is_file() and is_fresh and not (anew or self._is_old(path)):
                return read_listing(path)
            listed = list_photographs(self.storage, self.folder / _INDEX)
            before = read_listing(path) if path.is_file() else None
            for folder in listed[FOLDER].unique():
                (self.folder / folder).mkdir(parents=True, exist_ok=True)
            tidy(self.folder, listed, before, self.most_bytes)
            write_atomically(path, lambda temporary: write_listing(listed, temporary))
            write_json(made_for, {"tables": self.tables})
            return read_listing(path)

    def listed_bytes(self, name: str) -> int | None:
        """How large a photograph is by the listing there is, by its path in the folder; else None."""
        path = self.folder / "photographs.csv"
        sizes = _sizes(path, path.stat().st_mtime_ns) if path.is_file() else {}
        return sizes.get(int(hash_forms([name])[0]))

    def _is_old(self, listing: Path) -> bool:
        return _INDEX not in self.tables and time.time() - listing.stat().st_mtime > _RELISTED_S


@lru_cache(maxsize=2)
def _sizes(listing: Path, _changed: int) -> dict[int, int]:
    # By number, not by name: every worker has one, of up to millions of photographs.
    listed = read_listing(listing)
    names = (listed[FOLDER] + "/" + listed[NAME]).str.lstrip("/")
    return dict(zip(hash_forms(names).tolist(), listed[BYTES].tolist()))


def mirror_at(folder: Path) -> Mirror | None:
    """The mirror that a competition folder is; None for any other folder."""
    state = read_object(folder / "mirror.json")
    if not {"address", "most_bytes", "tables"} <= state.keys():
        return None
    return Mirror(folder, Storage(state["address"]), state["most_bytes"], state["tables"])


def mirror_above(folder: Path) -> Mirror | None:
    """The mirror that a folder of photographs belongs to; None for any other folder."""
    near = [folder, *folder.parents][: _DEPTH + 1]
    return next((mirror for mirror in map(mirror_at, near) if mirror), None)


def open_mirror(address: str, cache: Path, most_bytes: int) -> Mirror:
    """Make the mirror of an address, or bring its tables up to date.

    Args:
        address: Of a competition folder.
        cache: The folder of all mirrors.
        most_bytes: What the photographs of this one may take.

    Raises:
        RemoteError: If the address cannot be read, or no table is there.
        ConfigError: If no file system is known for it, or a package is missing.
        MelanomaError: If the cache cannot be written.
    """
    storage = Storage(address)
    found = storage.find(_TABLES)
    if not found:
        raise RemoteError(_nothing_there(storage))
    folder = cache / _name_of(address)
    with _locked(folder):
        before = read_object(folder / "mirror.json")
        known = before.get("tables", {})
        tables = {name: _bring(storage, entry, folder, known) for name, entry in found.items()}
        for name in set(_TABLES) - tables.keys():
            (folder / name).unlink(missing_ok=True)
        content = {"address": address, "most_bytes": most_bytes, "tables": tables}
        if content != before:
            write_json(folder / "mirror.json", content)
            trim(folder, most_bytes)
    return Mirror(folder, storage, most_bytes, tables)


def _bring(storage: Storage, entry: Entry, folder: Path, known: dict[str, Any]) -> str:
    """Fetch a table unless it is here; its version, by its content where the place tells none."""
    path = folder / entry.name
    if entry.version is None or known.get(entry.name) != entry.version or not path.is_file():
        write_atomically(path, lambda temporary: storage.download(entry.name, temporary))
    return entry.version or sha256(path.read_bytes()).hexdigest()


def _name_of(address: str) -> str:
    """A folder name that tells the address to a reader, and is no other address's."""
    last = re.sub(r"[^\w.-]+", "-", address.rpartition("/")[2])[-40:]
    return f"{last}-{sha256(address.encode()).hexdigest()[:12]}"


def _nothing_there(storage: Storage) -> str:
    files = storage.list_files("")
    if files is None:
        return (
            f"{storage.address}: there is no such folder. Check the bucket and the path in it; the "
            "address is that of the folder with train.csv."
        )
    names = [entry.name for entry in files[: NAMED_VALUES + 1]]
    content = f"its files are {name_some(names, len(files))}" if names else "it has no files"
    return (
        f"{storage.address}: no train.csv and no test.csv there; {content}. Give the address of the "
        "folder with train.csv."
    )


@contextmanager
def _locked(folder: Path) -> Iterator[None]:
    """Be the only process that changes the tables or the listing of a mirror."""
    with writing_explained(folder / "mirror.json"):
        folder.mkdir(parents=True, exist_ok=True)
        lock = FileLock(folder / ".mirror.lock")
        lock.acquire()
    try:
        yield
    finally:
        lock.release()
