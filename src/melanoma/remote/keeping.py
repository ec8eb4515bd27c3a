"""Keeping photographs that were fetched, up to a size, whoever fetches them.

What is kept stays; when the place is taken, others are fetched each time. Training reads all
photographs once an epoch in an order of its own. With place for half of them, half are then found
here; of least recently used ones that make room, an eighth would be (each is used again only after
most others have pushed it out). The source of both: Mohan et al., "Analyzing and Mitigating Data
Stalls in DNN Training", VLDB 2021, which calls this the MinIO cache. Nothing that another process
reads is ever removed for room, and nobody has to note what was used when.
"""

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pandas as pd
from filelock import FileLock

from melanoma.files import remove_file, write_bytes, write_text
from melanoma.remote.listing import FOLDER, NAME, VERSION
from melanoma.tables import BYTES

# Of the disk, which others write to as well, and which must not be full in the eighth hour.
LEFT_FREE_BYTES = 1_000_000_000


def keep(mirror: Path, path: Path, content: bytes, most_bytes: int) -> bool:
    """Keep a photograph if there is place for it.

    Args:
        mirror: Its folder.
        path: Of the photograph in it.
        content: Its bytes.
        most_bytes: What all photographs of the mirror may take.

    Returns:
        Whether it is kept now.

    Raises:
        MelanomaError: If it cannot be written.
    """
    with _counted(mirror) as kept:
        if path.is_file():  # by another process, meanwhile
            return True
        has_place = kept.n_bytes + len(content) <= most_bytes
        if not has_place or shutil.disk_usage(mirror).free < len(content) + LEFT_FREE_BYTES:
            return False
        write_bytes(path, content)
        kept.n_bytes += len(content)
    return True


def tidy(mirror: Path, listed: pd.DataFrame, before: pd.DataFrame | None, most_bytes: int) -> None:
    """Remove what has changed or gone since it was kept, and what is more than may be kept.

    Args:
        mirror: Its folder.
        listed: The photographs there are.
        before: Those there were; None if that is not known.
        most_bytes: What they may take.
    """
    sizes = _unchanged(listed, before)
    with _counted(mirror) as kept:
        kept.n_bytes = 0
        for path, n_bytes in _photographs(mirror):
            right = sizes.get(path.relative_to(mirror).as_posix()) == n_bytes
            if right and kept.n_bytes + n_bytes <= most_bytes:
                kept.n_bytes += n_bytes
            else:
                remove_file(path)
        _remove_empty_folders(mirror, set(listed[FOLDER]))


def trim(mirror: Path, most_bytes: int) -> None:
    """Remove as many photographs as it takes for the others to fit."""
    with _counted(mirror) as kept:
        for path, n_bytes in _photographs(mirror):
            if kept.n_bytes <= most_bytes:
                return
            remove_file(path)
            kept.n_bytes -= n_bytes


class _Kept:
    """What the photographs of a mirror take, while nobody else changes it."""

    def __init__(self, n_bytes: int) -> None:
        self.n_bytes = n_bytes


@contextmanager
def _counted(mirror: Path) -> Iterator[_Kept]:
    # Asked for again every 2 ms, not every 50: it is held for as long as a file is written.
    with FileLock(mirror / ".kept.lock").acquire(poll_interval=0.002):
        path = mirror / "kept_bytes"
        kept = _Kept(_read(path, mirror))
        before = kept.n_bytes
        yield kept
        if kept.n_bytes != before or not path.is_file():
            write_text(path, str(kept.n_bytes))


def _read(path: Path, mirror: Path) -> int:
    with suppress(OSError, ValueError):
        return int(path.read_text(encoding="utf-8"))
    return sum(n_bytes for _, n_bytes in _photographs(mirror))


def _unchanged(listed: pd.DataFrame, before: pd.DataFrame | None) -> dict[str, int]:
    if before is not None:
        same = pd.merge(listed, before, on=[FOLDER, NAME, BYTES, VERSION])
        new = pd.merge(
            listed, before[[FOLDER, NAME]], on=[FOLDER, NAME], how="left", indicator=True
        )
        listed = pd.concat([same, new.loc[new["_merge"] == "left_only"]])
    paths = (listed[FOLDER] + "/" + listed[NAME]).str.lstrip("/")
    return dict(zip(paths.tolist(), listed[BYTES].tolist()))


def _photographs(mirror: Path) -> Iterator[tuple[Path, int]]:
    """What is kept: the files of the folders in a mirror, or of one that has no folders."""
    for folder, _, names in os.walk(mirror):
        for name in names:
            path = Path(folder, name)
            if path.suffix.lower() in (".jpg", ".jpeg", ".png"):
                yield path, path.stat().st_size


def _remove_empty_folders(mirror: Path, wanted: set[str]) -> None:
    for folder in ("jpeg/train", "jpeg/test", "train", "test"):
        if folder not in wanted:
            with suppress(OSError):  # not there, or not empty
                (mirror / folder).rmdir()
