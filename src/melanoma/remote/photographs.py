"""Photographs of a mirror: what is known of them, and fetching those that are not here yet."""

import os
from collections.abc import Callable, Collection
from pathlib import Path
from typing import NamedTuple

from melanoma.errors import RemoteError
from melanoma.remote.keeping import keep
from melanoma.remote.listing import FOLDER, NAME, VERSION
from melanoma.remote.mirror import Mirror, mirror_above, mirror_at
from melanoma.tables import BYTES


class Status(NamedTuple):
    """A photograph that has not been opened.

    Attributes:
        n_bytes: Size of its file.
        version: Another text for another content: the time of change, or what the place tells.
    """

    n_bytes: int
    version: str


def is_mirror(folder: Path) -> bool:
    """Whether a competition folder stands for one behind an address."""
    return mirror_at(folder) is not None


def list_names(data_dir: Path, wanted: Collection[str]) -> dict[Path, set[str]] | None:
    """The photographs behind an address, whether or not they are here; None for any other folder.

    Args:
        data_dir: The competition folder.
        wanted: Their names without extension; where one is missing, they are listed once more.

    Returns:
        File names by folder of the mirror.
    """
    mirror = mirror_at(data_dir)
    if mirror is None:
        return None
    found = _names(mirror, anew=False)
    stems = {os.path.splitext(name)[0] for names in found.values() for name in names}
    return found if stems.issuperset(wanted) else _names(mirror, anew=True)


def fetch_photograph(path: Path) -> bytes | None:
    """Fetch a photograph that is not here, and keep it if there is place for it.

    Returns:
        The content of its file; None where its folder is no mirror's.

    Raises:
        RemoteError: If it is no longer there, cannot be fetched, or what comes has not the bytes that
            are listed, of which nothing is kept.
        MelanomaError: If it cannot be written.
    """
    mirror = mirror_above(path.parent)
    if mirror is None:
        return None
    name = path.relative_to(mirror.folder).as_posix()
    try:
        content = mirror.storage.read(name, mirror.listed_bytes(name))
    except FileNotFoundError as error:
        raise RemoteError(
            f"{mirror.storage.address}/{name}: is not there (any more), though it was listed. Put it "
            f"back; or remove {mirror.folder}, so that everything is listed anew."
        ) from error
    keep(mirror.folder, path, content, mirror.most_bytes)
    return content


def status_reader() -> Callable[[Path], Status]:
    """A function that tells the status of a photograph, wherever it is; listings are read once.

    It raises an OSError where the photograph is missing.
    """
    folders: dict[Path, dict[str, Status] | None] = {}

    def status(path: Path) -> Status:
        if path.parent not in folders:
            folders[path.parent] = _statuses(path.parent)
        listed = folders[path.parent]
        if listed is None:
            found = path.stat()
            return Status(found.st_size, str(found.st_mtime_ns))
        if path.name not in listed:
            raise FileNotFoundError(path)
        return listed[path.name]

    return status


def _names(mirror: Mirror, anew: bool) -> dict[Path, set[str]]:
    listed = mirror.listing(anew)
    return {
        mirror.folder / str(folder): set(names) for folder, names in listed.groupby(FOLDER)[NAME]
    }


def _statuses(folder: Path) -> dict[str, Status] | None:
    mirror = mirror_above(folder)
    if mirror is None:
        return None
    listed = mirror.listing()
    of_folder = listed[listed[FOLDER] == folder.relative_to(mirror.folder).as_posix().lstrip(".")]
    columns = (of_folder[name].tolist() for name in (NAME, BYTES, VERSION))
    return {name: Status(n_bytes, version) for name, n_bytes, version in zip(*columns)}
