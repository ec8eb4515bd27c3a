"""What is attached to a kernel, listed once: its folders are a network file system."""

import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from melanoma.errors import ConfigError, name_some

# `datasets/<owner>/<slug>/<folder>/runs/<name>/fold_0`.
_DEEPEST = 7
# Of a folder of photographs no more is read.
_MOST_ENTRIES = 1000


@dataclass(frozen=True)
class Folder:
    """A folder of what is attached.

    Attributes:
        path: Of the folder.
        files: Names of its files: of very many, the first that the system gives.
        is_cut: Whether there are more.
    """

    path: Path
    files: frozenset[str]
    is_cut: bool = False

    def has(self, *names: str) -> bool:
        """Whether it has all of these files."""
        return all(
            name in self.files or (self.is_cut and (self.path / name).is_file()) for name in names
        )


@dataclass(frozen=True)
class Mounts:
    """Everything that is attached.

    Datasets are seen at `<slug>` and at `datasets/<owner>/<slug>`, competitions at `<slug>` and at
    `competitions/<slug>`, outputs of kernels at `<slug>` and at `notebooks/<owner>/<slug>`: which of
    them is Kaggle's choice, and has changed.

    Attributes:
        root: `/kaggle/input`.
        folders: Of any depth, those above before those below, sorted.
    """

    root: Path
    folders: tuple[Folder, ...]

    @cached_property
    def by_path(self) -> dict[Path, Folder]:
        """The folders by their paths."""
        return {folder.path: folder for folder in self.folders}

    def of(self, source: str) -> list[Folder]:
        """The folders of one source.

        Args:
            source: `owner/slug`, perhaps with a version behind it; or the slug of a competition.
        """
        owner, slug = _parse_source(source)
        found = [folder for folder in self.folders if slug in self._place(folder)]
        # Where the owner is part of the path, others' data of the same name are left out.
        own = [folder for folder in found if owner and owner in self._place(folder)[:-1]]
        return own or found

    def files(self, wanted: Callable[[Path], bool]) -> list[Path]:
        """The files that answer a question about their path, sorted."""
        return sorted(path for path in self._all_files() if wanted(path))

    def as_text(self) -> str:
        """What is attached, for messages: `siim-isic, datasets/me/wheels`."""
        tops = [folder.path for folder in self.folders if self._is_top(folder)]
        return name_some(path.relative_to(self.root) for path in tops) if tops else "nothing"

    def _place(self, folder: Folder) -> tuple[str, ...]:
        """The part of a path that says whose it is: at most `datasets/<owner>/<slug>`."""
        return folder.path.relative_to(self.root).parts[:3]

    def _is_top(self, folder: Folder) -> bool:
        depth = {"competitions": 2, "datasets": 3, "notebooks": 3, "models": 3}
        parts = folder.path.relative_to(self.root).parts
        return len(parts) == depth.get(parts[0], 1) if parts else False

    def _all_files(self) -> Iterator[Path]:
        return (folder.path / name for folder in self.folders for name in folder.files)


def list_mounts(root: Path) -> Mounts:
    """List what is attached.

    Raises:
        ConfigError: If that cannot be read.
    """
    if not root.is_dir():
        return Mounts(root, ())
    try:
        return Mounts(root, tuple(_list_folders(root)))
    except OSError as error:
        raise ConfigError(
            f"{error.filename}: cannot be read ({error.strerror}). Start the kernel again; if that "
            "does not help, attach that source anew."
        ) from error


def _list_folders(root: Path) -> Iterator[Folder]:
    level = [root]
    for _ in range(_DEEPEST + 1):
        below: list[Path] = []
        for path in level:
            folder, inner = _list_folder(path)
            yield folder
            below += inner
        level = below


def _list_folder(path: Path) -> tuple[Folder, list[Path]]:
    files, inner, n_entries = set(), [], 0
    with os.scandir(path) as entries:
        for entry in entries:
            n_entries += 1
            if n_entries > _MOST_ENTRIES:
                break
            if entry.is_dir():
                inner += [] if entry.name.startswith(".") else [path / entry.name]
            else:
                files.add(entry.name)
    return Folder(path, frozenset(files), n_entries > _MOST_ENTRIES), sorted(inner)


def _parse_source(source: str) -> tuple[str, str]:
    """Owner (empty for a competition) and slug.

    >>> _parse_source("me/resized/3"), _parse_source("siim-isic")
    (('me', 'resized'), ('', 'siim-isic'))
    """
    owner, slash, rest = source.partition("/")
    return (owner, rest.partition("/")[0]) if slash else ("", owner)
