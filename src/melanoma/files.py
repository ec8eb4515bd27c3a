"""Writing files so that a reader never sees half of one, and knowing them by their content."""

import errno
import hashlib
import json
import os
import re
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import pandas as pd

from melanoma.errors import MelanomaError, name_bytes

# The names that `write_atomically` writes to before it renames.
_TEMPORARY = re.compile(r"\..+\.\d+\.(jpg|png|csv|json|yaml|html|ckpt|npy|npz|u8)")
# What reading JSON or YAML raises: the last where it is nested without end.
NOT_READABLE = (OSError, ValueError, RecursionError)
_NO_SPACE = (errno.ENOSPC, errno.EDQUOT)
_NOT_ALLOWED = (errno.EACCES, errno.EPERM, errno.EROFS)


def write_atomically(path: Path, write: Callable[[Path], None], n_bytes: int | None = None) -> Path:
    """Write to a temporary name beside `path` and rename it into place.

    Args:
        path: The file to write; its folder is made where it is missing.
        write: Called with the temporary path, which has the same suffix as `path`.
        n_bytes: How many will be written, where it is known: for the message of a full disk.

    Raises:
        MelanomaError: If the folder or the file cannot be written, with what is in the way; an
            earlier file stays as it was, and nothing half-written is left.
    """
    temporary = path.with_name(f".{path.stem}.{os.getpid()}{path.suffix}")
    try:
        with writing_explained(path, n_bytes):
            path.parent.mkdir(parents=True, exist_ok=True)
            write(temporary)
            os.replace(temporary, path)
    finally:
        remove_file(temporary)
    return path


@contextmanager
def writing_explained(path: Path, n_bytes: int | None = None) -> Iterator[None]:
    """Turn what the system says about a file that cannot be written into a message that helps.

    Args:
        path: What is written; of a folder, the file in it that the system names is meant.
        n_bytes: How many will be written, where it is known: for the message of a full disk.

    Raises:
        MelanomaError: Instead of an OSError.
    """
    try:
        yield
    except OSError as error:
        named = Path(error.filename) if path.is_dir() and error.filename else path
        raise MelanomaError(_why_not_written(named, error, n_bytes)) from error


def write_text(path: Path, text: str) -> Path:
    """Write a UTF-8 text file atomically."""
    return write_bytes(path, text.encode("utf-8"))


def write_bytes(path: Path, content: bytes) -> Path:
    """Write a file atomically."""
    return write_atomically(path, lambda temporary: _write_bytes(temporary, content), len(content))


def write_json(path: Path, content: dict[str, Any]) -> Path:
    """Write a JSON file atomically, indented, its keys in the order given."""
    return write_text(path, json.dumps(content, indent=2, ensure_ascii=False) + "\n")


def write_table(path: Path, table: pd.DataFrame) -> Path:
    """Write a CSV file atomically, without the index, numbers in the shortest exact form."""
    return write_text(path, table.to_csv(index=False, lineterminator="\n"))


def sha256_of(path: Path) -> str:
    """The SHA-256 of a file's bytes, as 64 hexadecimal digits."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def read_object(path: Path) -> dict[str, Any]:
    """The content of a JSON file; empty where it is missing or holds something else."""
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except NOT_READABLE:
        return {}
    return content if isinstance(content, dict) else {}


def find_leftovers(folder: Path) -> Iterator[Path]:
    """Half-written files in a folder: of processes at work, or of ones that were killed.

    >>> [bool(_TEMPORARY.fullmatch(name)) for name in (".last.17.ckpt", "last.ckpt", ".hidden")]
    [True, False, False]
    """
    if folder.is_dir():
        yield from (path for path in folder.glob(".*") if _TEMPORARY.fullmatch(path.name))


def remove_file(path: Path) -> None:
    """Remove a file, if it is there and that is allowed; for what nothing depends on."""
    with suppress(OSError):
        path.unlink(missing_ok=True)


def existing_folder(path: Path) -> Path:
    """The nearest folder above a path, or the path itself, that is there."""
    return next(folder for folder in [path, *path.absolute().parents] if folder.is_dir())


def _write_bytes(path: Path, content: bytes) -> None:
    path.write_bytes(content)


def _why_not_written(path: Path, error: OSError, n_bytes: int | None) -> str:
    folder = existing_folder(path.parent)
    reason, remedy = error.strerror or str(error), f"Check {folder} and its disk"
    if error.errno in _NO_SPACE:
        needed = f"{name_bytes(n_bytes)} are needed, " if n_bytes is not None else ""
        with suppress(OSError):
            reason += f" ({needed}{name_bytes(shutil.disk_usage(folder).free)} are free)"
        remedy = "Free some space there"
    elif isinstance(error, FileExistsError | NotADirectoryError):
        reason, remedy = "a file is where its folder should be", f"Remove it from {folder}"
    elif error.errno in _NOT_ALLOWED:
        remedy = f"Make {folder} writable"
    earlier = "; the earlier file is untouched" if path.is_file() else ""
    return f"{path} cannot be written: {reason}. {remedy}, or choose another folder{earlier}."
