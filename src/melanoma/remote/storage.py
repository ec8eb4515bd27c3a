"""What is asked of a place behind an address: the only module that knows fsspec.

The file systems of fsspec run on an event loop in a thread, which does not outlive a fork
(filesystem-spec.readthedocs.io, "Async", "Using from Async"). Each process makes its own, when it
first asks for something.
"""

import os
import time
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple, TypeVar
from urllib.parse import quote, unquote

from melanoma.errors import ConfigError, RemoteError

T = TypeVar("T")

# Beyond what file systems repeat by themselves: s3fs and gcsfs do, that of http does not.
_PAUSES_S = (0.5, 1.0, 2.0)
# For whether a file is there, the first that is asked of a place. By themselves file systems wait for
# minutes, which is right for a photograph in the middle of a training.
_ANSWER_S = 30.0
# What the file systems call the time of change, or the checksum, of a file.
_VERSIONS = (
    *("ETag", "etag", "md5Hash", "generation", "mtime", "LastModified", "last_modified"),
    *("updated", "Last-Modified", "Content-MD5"),
)
_REFUSED = (401, 403)
_DOCS = "docs/remote_data.md says how"


class _SilenceError(Exception):
    """Whoever was asked has not answered."""


class _OtherContentError(Exception):
    """What came is not the file that was asked for."""


class Entry(NamedTuple):
    """A file.

    Attributes:
        name: Without its folder.
        n_bytes: None where the place does not say.
        version: Another text for another content; None where the place does not say.
    """

    name: str
    n_bytes: int | None
    version: str | None


@dataclass(frozen=True)
class Storage:
    """A folder behind an address. Files are named by their path in it, such as jpeg/train/a.jpg.

    Every method raises RemoteError where it is not allowed, or does not succeed after four attempts.
    """

    address: str

    def find(self, names: Iterable[str]) -> dict[str, Entry]:
        """Those of some files that are there, by name."""
        listed = list(names)
        with ThreadPoolExecutor(max(1, len(listed))) as pool:
            found = pool.map(self._entry, listed)
            return {name: entry for name, entry in zip(listed, found) if entry}

    def list_files(self, folder: str) -> list[Entry] | None:
        """The files in a folder, not in those below it; None where there is no such folder."""
        system, _ = self._connect()
        path = self._path(folder)
        try:
            content = self._ask(lambda: system.ls(path, detail=True), folder)
        except (FileNotFoundError, NotADirectoryError):
            return None
        files = (info for info in content if info["type"] == "file")
        # A folder that was made by hand is listed in itself, as a file without bytes.
        entries = (_entry(info) for info in files if info["name"].rstrip("/") != path.rstrip("/"))
        # A web server's page lists URLs.
        return [e._replace(name=unquote(e.name)) if self._has_urls else e for e in entries]

    def read(self, name: str, n_bytes: int | None = None) -> bytes:
        """The content of a file.

        Args:
            name: Of the file.
            n_bytes: That it has; anything else that comes, such as a page on an error, is a failure.
                None where that is not known.

        Raises:
            FileNotFoundError: If it is not there.
        """
        system, _ = self._connect()

        def read() -> bytes:
            content: bytes = system.cat_file(self._path(name))
            if n_bytes is not None and len(content) != n_bytes:
                raise _OtherContentError(f"{len(content)} bytes came where {n_bytes} are listed")
            return content

        return self._ask(read, name)

    def download(self, name: str, target: Path) -> None:
        """Write a file, large or small, to this machine.

        Raises:
            FileNotFoundError: If it is not there.
        """
        system, _ = self._connect()
        self._ask(lambda: system.get_file(self._path(name), str(target)), name)

    def _entry(self, name: str) -> Entry | None:
        system, _ = self._connect()
        try:
            return _entry(self._ask(lambda: _info(system, self._path(name)), name))
        except FileNotFoundError:
            return None

    def _connect(self) -> tuple[Any, str]:
        # Listings are kept by us; in its memory they would be copied to every worker.
        return open_filesystem(self.address, "--data.data_dir", use_listings_cache=False)

    @property
    def _has_urls(self) -> bool:
        """Whether a path is a URL, in which some characters of a file name have another meaning."""
        return self.address.startswith(("http://", "https://"))

    def _path(self, name: str) -> str:
        root = self._connect()[1].rstrip("/")
        if self._has_urls:
            name = quote(name)
        return f"{root}/{name}" if name else root

    def _ask(self, question: Callable[[], T], name: str) -> T:
        for pause_s in (*_PAUSES_S, None):
            try:
                return question()
            except (FileNotFoundError, NotADirectoryError) as error:
                failure = _failure_behind(error)
                if failure is None:
                    raise
                reason: Exception = failure
            # Each file system has its own: of botocore, aiohttp, google.auth ...
            except Exception as error:
                reason = error
            if _is_final(reason) or pause_s is None:
                raise RemoteError(_explain(f"{self.address}/{name}", reason)) from reason
            time.sleep(pause_s)
        raise AssertionError("the last attempt returns or raises")


def open_filesystem(address: str, option: str, **settings: Any) -> tuple[Any, str]:
    """The file system of fsspec behind an address, one for each process, and the path in it.

    Args:
        address: scheme://place, or a path of this machine.
        option: By which it was given, for messages.
        settings: Of the file system.

    Raises:
        ConfigError: If there is no such scheme, or its package is not installed.
        RemoteError: If it asks for credentials at once.
    """
    return _connect(address, option, os.getpid(), **settings)


@cache
def _connect(address: str, option: str, _pid: int, **settings: Any) -> tuple[Any, str]:
    import fsspec

    scheme = address.partition("://")[0]
    try:
        system, path = fsspec.core.url_to_fs(address, **settings)
    except ImportError as error:
        package = _package_of(scheme)
        raise ConfigError(
            f"{option} {address}: {scheme}:// needs a package that is not installed ({error}). "
            f"Install it: pip install {package}"
        ) from error
    except ValueError as error:
        raise ConfigError(
            f"{option} {address}: {str(error).rstrip('.')}. Give a folder, or an address that "
            "begins with s3://, gs://, abfs://, http://, https:// or file://."
        ) from error
    except Exception as error:  # as of `_ask`: some ask for credentials at once
        raise RemoteError(_explain(address, error)) from error
    return system, path


def _info(system: Any, path: str) -> dict[str, Any]:
    from fsspec.asyn import sync
    from fsspec.exceptions import FSTimeoutError

    info: dict[str, Any]
    if not system.async_impl:
        info = system.info(path)
        return info
    try:
        info = sync(system.loop, system._info, path, timeout=_ANSWER_S)
    except FSTimeoutError as error:
        raise _SilenceError from error
    return info


def _package_of(scheme: str) -> str:
    from fsspec.registry import known_implementations

    package = str(known_implementations[scheme]["class"]).partition(".")[0]
    return {"fsspec": "fsspec[full]"}.get(package, package)


def _entry(info: dict[str, Any]) -> Entry:
    known = [f"{info[key]}" for key in _VERSIONS if info.get(key)]
    size = info.get("size")
    version = f"{size} {' '.join(known)}" if known else None
    return Entry(info["name"].rstrip("/").rpartition("/")[2], size, version)


def _failure_behind(error: OSError) -> Exception | None:
    """What the file system of http takes for a missing file: no answer, or a refusal (its `_info`)."""
    cause = error.__cause__
    is_failure = isinstance(cause, OSError | TimeoutError) and not isinstance(cause, type(error))
    is_failure |= getattr(cause, "status", 404) != 404
    return cause if is_failure and isinstance(cause, Exception) else None


def _is_final(error: Exception) -> bool:
    return isinstance(error, _SilenceError) or _is_refusal(error)


def _is_refusal(error: Exception) -> bool:
    return isinstance(error, PermissionError) or getattr(error, "status", None) in _REFUSED


def _explain(place: str, error: Exception) -> str:
    reason = f"{type(error).__name__}: {error}".rstrip(".: ")
    if _is_refusal(error):
        return (
            f"{place}: not allowed ({reason}). Check the address, and the credentials that are used "
            f"for it: {_DOCS}."
        )
    if isinstance(error, _OtherContentError):
        return (
            f"{place}: {error}, so it is not kept: an error page, or another file than was listed. "
            "Look at it in a browser; where the photograph itself has been replaced, give the same "
            "command again after ten minutes, when all are listed anew."
        )
    failure = f"cannot be read after {len(_PAUSES_S) + 1} attempts ({reason})"
    if isinstance(error, _SilenceError):
        failure = f"no answer within {_ANSWER_S:g} s"
    return (
        f"{place}: {failure}. Check the address, the network and the credentials ({_DOCS}), then give "
        "the same command again."
    )
