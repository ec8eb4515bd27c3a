"""Writing files so that a reader never sees half of one, and knowing them by their content."""

import hashlib
import json
import os
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import pandas as pd

from melanoma.errors import MelanomaError


def write_atomically(path: Path, write: Callable[[Path], None]) -> Path:
    """Write to a temporary name beside `path` and rename it into place.

    Args:
        path: The file to write; its folder is made where it is missing.
        write: Called with the temporary path, which has the same suffix as `path`.

    Raises:
        MelanomaError: If the folder or the file cannot be written; an earlier file stays as it was.
    """
    temporary = path.with_name(f".{path.stem}.{os.getpid()}{path.suffix}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        write(temporary)
        os.replace(temporary, path)
    except OSError as error:
        raise MelanomaError(
            f"{path} cannot be written: {error.strerror or error}. Check the free space and the "
            "permissions of that folder, or choose another one; the earlier file is untouched."
        ) from error
    finally:
        with suppress(OSError):
            temporary.unlink(missing_ok=True)
    return path


def write_text(path: Path, text: str) -> Path:
    """Write a UTF-8 text file atomically."""
    return write_bytes(path, text.encode("utf-8"))


def write_bytes(path: Path, content: bytes) -> Path:
    """Write a file atomically."""
    return write_atomically(path, lambda temporary: _write_bytes(temporary, content))


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


def _write_bytes(path: Path, content: bytes) -> None:
    path.write_bytes(content)
