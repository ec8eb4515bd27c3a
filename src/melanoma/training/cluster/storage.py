"""Folds on the way between machines that share no disk, by an fsspec address.

Files are kept by their content, `objects/<SHA-256>`, and a manifest says which of them are the fold:
it is written after them, under a name of its own, and what it replaces is removed after that. So a
process that is killed anywhere, or that goes on for a moment beside the one that has taken its
place, leaves a whole state behind.
"""

import hashlib
import json
import os
import shutil
import tempfile
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

from melanoma.errors import RunError
from melanoma.files import find_leftovers, sha256_of, write_atomically
from melanoma.remote.storage import open_filesystem
from melanoma.run_folder import FoldFolder

_TOKEN = "token"  # noqa: S105 - says that two machines see the same place; no secret


@dataclass
class FoldStore:
    """The state of one fold in a storage.

    Attributes:
        address: Of the fold: `<storage>/<run>/fold_<k>`.
        belongs_to: What identifies the run's settings and tables: another run's state is refused.
        objects: Those of the state that is known here, which a newer one may replace.
    """

    address: str
    belongs_to: str
    objects: set[str] = field(default_factory=set)

    def push(self, folder: FoldFolder) -> None:
        """Keep a fold as it is, while it is trained or afterwards.

        `last.ckpt` is taken first, by a hard link: what it goes with is of the same moment or newer,
        and is written again by what goes on from it.

        Raises:
            RunError: If the storage cannot be written.
        """
        with tempfile.TemporaryDirectory(dir=folder.path.parent, prefix=".snapshot-") as name:
            files = _snapshot(folder, Path(name))
            with _explained(self.address):
                for path, sha256 in files.values():
                    self._put(path, sha256)
                hashes = {place: sha256 for place, (_, sha256) in files.items()}
                self._replace_manifest(hashes)

    def pull(self, folder: FoldFolder) -> bool:
        """Bring a fold into a folder, `done.json` last; whether there was one.

        Raises:
            RunError: If the storage cannot be read, or holds a fold of another run.
        """
        with _explained(self.address):
            manifest = self.read()
            for place, sha256 in manifest.items():
                target = _inside(folder.path, place)
                if not target.is_file() or sha256_of(target) != sha256:
                    write_atomically(target, lambda path, name=sha256: self._get(name, path))  # type: ignore[misc]
        self.objects = set(manifest.values())
        return bool(manifest)

    def read(self) -> dict[str, str]:
        """The SHA-256 of each file of the newest whole state, in the order to write them.

        Raises:
            RunError: If it is of another run.
        """
        there = self._names("objects")
        for name in sorted(self._manifests(), reverse=True):
            try:
                content = json.loads(self._fs.cat_file(f"{self._root}/{name}"))
                files = dict(content["files"])
            except (FileNotFoundError, ValueError, KeyError, TypeError):
                continue  # half-written, or replaced meanwhile
            if not set(files.values()) <= there:
                continue
            if content.get("belongs_to") != self.belongs_to:
                raise RunError(
                    f"--ray_storage: {self.address} holds a fold of other settings or tables. Choose "
                    "another --ray_storage or --run_dir, or repeat its folds with --overwrite."
                )
            last = {"last.ckpt": 1, "done.json": 2}
            return dict(sorted(files.items(), key=lambda item: last.get(item[0], 0)))
        return {}

    def clear(self) -> None:
        """Remove the fold.

        Raises:
            RunError: If that is not possible.
        """
        with _explained(self.address):
            if self._fs.exists(self._root):
                self._fs.rm(self._root, recursive=True)

    @cached_property
    def _place(self) -> tuple[Any, str]:
        return _open(self.address)

    @property
    def _fs(self) -> Any:
        return self._place[0]

    @property
    def _root(self) -> str:
        return self._place[1]

    def _put(self, path: Path, sha256: str) -> None:
        target = f"{self._root}/objects/{sha256}"
        if sha256 in self.objects:
            return
        self._fs.makedirs(f"{self._root}/objects", exist_ok=True)
        self._fs.put_file(str(path), target)

    def _get(self, sha256: str, path: Path) -> None:
        with _explained(self.address):  # before it is taken for a fault of the disk here
            self._fs.get_file(f"{self._root}/objects/{sha256}", str(path))
            if sha256_of(path) != sha256:
                raise OSError(f"objects/{sha256} is damaged: its content is not what its name says")

    def _replace_manifest(self, files: dict[str, str]) -> None:
        before = self._manifests()
        number = 1 + max((int(name.split("-")[1]) for name in before), default=0)
        content = {"belongs_to": self.belongs_to, "files": files}
        name = f"manifest-{number:09d}-{uuid.uuid4().hex[:8]}"
        self._fs.pipe_file(f"{self._root}/{name}", json.dumps(content).encode())
        # Its own alone: another process may be about to name what it has just written.
        gone = [f"{self._root}/objects/{old}" for old in self.objects - set(files.values())]
        for path in [*(f"{self._root}/{old}" for old in before), *gone]:
            if self._fs.exists(path):
                self._fs.rm_file(path)
        self.objects = set(files.values())

    def _manifests(self) -> list[str]:
        return [name for name in self._names("") if name.startswith("manifest-")]

    def _names(self, folder: str) -> set[str]:
        self._fs.invalidate_cache()
        try:
            listed = self._fs.ls(f"{self._root}/{folder}".rstrip("/"), detail=False)
        except FileNotFoundError:
            return set()
        return {str(path).rstrip("/").rpartition("/")[2] for path in listed}


def write_token(address: str, token: str) -> None:
    """Write what other machines must find in the storage.

    Raises:
        ConfigError: If the address is of no kind that can be used here.
        RunError: If it cannot be written.
    """
    fs, root = _open(address)
    with _explained(address):
        fs.makedirs(root, exist_ok=True)
        fs.pipe_file(f"{root}/{_TOKEN}", token.encode())


def read_token(address: str) -> str:
    """What `write_token` has written; empty where nothing is.

    Raises:
        ConfigError: If the address is of no kind that can be used here.
    """
    fs, root = _open(address)
    fs.invalidate_cache()
    if not fs.exists(f"{root}/{_TOKEN}"):
        return ""
    return str(fs.cat_file(f"{root}/{_TOKEN}").decode())


def identity(settings: dict[str, Any], tables: dict[str, str]) -> str:
    """What tells the states of two runs apart: settings and tables on which the result depends."""
    text = json.dumps([settings, tables], sort_keys=True, default=str)
    return hashlib.sha256(text.encode()).hexdigest()


def _open(address: str) -> tuple[Any, str]:
    fs, root = open_filesystem(address, "--ray_storage")
    return fs, str(root).rstrip("/")


@contextmanager
def _explained(address: str) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise RunError(
            f"--ray_storage: {address} cannot be used ({error}). Check the address, the network and "
            "the credentials of that machine; the same command goes on from there."
        ) from error


def _snapshot(folder: FoldFolder, target: Path) -> dict[str, tuple[Path, str]]:
    """Every file of a fold by its place in it: its copy, and the SHA-256 of that."""
    taken: dict[str, tuple[Path, str]] = {}
    written = sorted(path for path in folder.path.rglob("*") if path.is_file())
    halves = {path for place in {path.parent for path in written} for path in find_leftovers(place)}
    for path in [folder.last_checkpoint, *written]:
        place = str(path.relative_to(folder.path))
        if place in taken or path in halves:
            continue
        copy = target / str(len(taken))
        try:
            _copy(path, copy)
        except FileNotFoundError:  # replaced by training, or none yet
            continue
        taken[place] = copy, sha256_of(copy)
    return taken


def _copy(path: Path, copy: Path) -> None:
    # What is renamed into place stays as it is; a log grows, and would under the link too.
    if path.suffix == ".ckpt":
        try:
            os.link(path, copy)
            return
        except PermissionError:  # a file system without links
            pass
    shutil.copyfile(path, copy)


def _inside(folder: Path, place: str) -> Path:
    path = (folder / place).resolve()
    if not path.is_relative_to(folder.resolve()):
        raise RunError(f"--ray_storage: the fold there names a file outside itself, {place}.")
    return path
