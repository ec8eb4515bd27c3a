"""Makes the writing of one file fail: read by every Python that has this folder on its path.

TORTURE_FILE is the file, TORTURE_ERRNO what is wrong with it, TORTURE_FIRED a file that is made when
it has happened. A permission is refused at once; a full disk and a broken one let half of the
bytes pass.
"""

import builtins
import errno
import io
import os
from pathlib import Path
from typing import Any

_FILE = Path(os.environ.get("TORTURE_FILE", "/nowhere/nothing"))
_ERRNO = int(os.environ.get("TORTURE_ERRNO", "0"))
_FIRED = os.environ.get("TORTURE_FIRED", "")

_open, _open_number = builtins.open, os.open
_WRITING = os.O_WRONLY | os.O_RDWR


def _fail() -> OSError:
    os.close(_open_number(_FIRED, os.O_CREAT | os.O_WRONLY))
    return OSError(_ERRNO, os.strerror(_ERRNO), str(_FILE))


def _is_meant(path: Any) -> bool:
    """Whether a path is the file, or a temporary name of it in the same folder."""
    if isinstance(path, int):
        return False
    place = Path(os.path.abspath(os.fsdecode(path)))
    return place.parent == _FILE.parent and _FILE.stem in place.name and _FILE.suffix in place.name


class _Half(io.FileIO):
    def fileno(self) -> int:
        # Else a file would be copied into it by the kernel, past `write`.
        raise io.UnsupportedOperation

    def write(self, content: Any, /) -> int:
        super().write(bytes(content)[: len(content) // 2])
        raise _fail()


def _failing_open(file: Any, mode: str = "r", *more: Any, **named: Any) -> Any:
    if not set(mode) & set("wax+") or not _is_meant(file):
        return _open(file, mode, *more, **named)
    if _ERRNO in (errno.EACCES, errno.EROFS):
        raise _fail()
    whole = io.BufferedWriter(_Half(file, mode.replace("b", "").replace("t", "").replace("+", "")))
    return whole if "b" in mode else io.TextIOWrapper(whole, encoding="utf-8", write_through=True)


def _failing_open_number(file: Any, flags: int, *more: Any, **named: Any) -> int:
    # As locks are opened, which have nothing to write.
    if flags & _WRITING and _is_meant(file):
        raise _fail()
    return _open_number(file, flags, *more, **named)


def _failing(rename: Any) -> Any:
    def renames(source: Any, target: Any, **named: Any) -> None:
        if Path(os.path.abspath(os.fsdecode(target))) == _FILE:
            raise _fail()
        rename(source, target, **named)

    return renames


if _ERRNO:
    builtins.open = io.open = _failing_open  # type: ignore[assignment]
    os.open = _failing_open_number
    os.replace, os.rename = _failing(os.replace), _failing(os.rename)
