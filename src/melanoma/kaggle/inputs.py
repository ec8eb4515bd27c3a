"""What is attached to a kernel, and in it the competition, runs, fold files and weights.

Folders are listed once: they are a network file system. What is in them is known by what it holds and
is called, not by where it is.
"""

import filecmp
import hashlib
import os
import shutil
from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from melanoma.errors import ConfigError, name_some
from melanoma.images.layout import Split, image_folder, is_photograph
from melanoma.kaggle.job import Job

# `datasets/<owner>/<slug>/<folder>/runs/<name>/fold_0`.
_DEEPEST = 7
# Of a folder of photographs no more is read.
_MOST_ENTRIES = 1000
_TRAIN, _TEST, _FORM = "train.csv", "test.csv", "sample_submission.csv"
# What scripts/prepare_images.py says of its copies.
_INDEX = "images.csv"


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


@dataclass(frozen=True)
class Data:
    """Where tables and photographs are.

    Attributes:
        tables: Folder of train.csv.
        photographs: Folder of the photographs, in one of the layouts that are known; None where
            none are needed.
    """

    tables: Path
    photographs: Path | None

    def as_text(self) -> str:
        """A line on where they are."""
        if self.photographs in (None, self.tables):
            return f"data: {self.tables}"
        return f"data: tables of {self.tables}, photographs of {self.photographs}"

    def as_folder(self, scratch: Path) -> Path:
        """One folder that has both; where they are apart, of links to them, made in `scratch`."""
        if self.photographs is None or self.photographs == self.tables:
            return self.tables
        folder = scratch / "data"
        shutil.rmtree(folder, ignore_errors=True)
        splits: tuple[Split, ...] = ("train", "test")
        targets = {name: self.tables / name for name in (_TRAIN, _TEST, _FORM)}
        targets |= {_INDEX: self.photographs / _INDEX}
        targets |= {f"jpeg/{split}": image_folder(self.photographs, split) for split in splits}
        for name, target in targets.items():
            if target.exists():
                (folder / name).parent.mkdir(parents=True, exist_ok=True)
                (folder / name).symlink_to(target)
        return folder


def find_data(
    mounts: Mounts,
    competition: str,
    dataset: str = "",
    train_sha256: str = "",
    with_photographs: bool = True,
) -> Data:
    """Find tables and photographs in what is attached.

    Photographs are the dataset's, if one is named, else the competition's. Tables are those from
    which the folds were made, if that is known; else the dataset's own, if it has all three, else
    the competition's.

    Args:
        mounts: What is attached.
        competition: Its slug; empty for any.
        dataset: With resized copies, `owner/slug`; empty for none.
        train_sha256: Of the train.csv from which the folds were made, if it is known.
        with_photographs: Whether any are needed.

    Raises:
        ConfigError: If something is missing, or there are several of it: naming them.
    """
    own = mounts.of(dataset) if dataset else []
    if dataset and not own:
        raise ConfigError(
            f"dataset {dataset}: not attached. Attached: {mounts.as_text()}. Check its name, and push "
            "again with --data."
        )
    of_competition = mounts.of(competition) if competition else []
    photographs = None
    if with_photographs:
        areas = [own] if own else [of_competition, list(mounts.folders)]
        photographs = _find_photographs(mounts, areas, dataset or competition)
    areas = [own, of_competition, list(mounts.folders)]
    tables = _find_tables(mounts, areas, train_sha256, photographs)
    if photographs is not None and (tables / _TEST).exists():
        _check_test_photographs(mounts, photographs)
    return Data(tables, photographs)


def _find_photographs(mounts: Mounts, areas: Sequence[list[Folder]], of: str) -> Path:
    for area in areas:
        found = list(_without_inner(_folders_with_photographs(mounts, area)))
        if len(found) > 1:
            raise ConfigError(
                f"photographs are in several folders: {name_some(found)}. Attach only one of them, "
                "or name the dataset with --data when you push."
            )
        if found:
            return found[0]
    raise ConfigError(
        f"no photographs of {of or 'any competition'}: jpeg/train/<image_name>.jpg or "
        f"train/<image_name>.jpg. Attached: {mounts.as_text()}. Accept the competition's rules on "
        "its page, or name a dataset of resized copies with --data when you push."
    )


def _folders_with_photographs(mounts: Mounts, area: list[Folder]) -> Iterator[Path]:
    for folder in area:
        inner = image_folder(folder.path, "train")
        # Pictures lie about in many places; a folder itself is one of photographs if it has a table.
        is_laid_out = inner != folder.path or folder.has(_TRAIN)
        if folder.path != mounts.root and is_laid_out and _has_photographs(mounts, inner):
            yield folder.path


def _without_inner(paths: Iterator[Path]) -> Iterator[Path]:
    """Leave out `x/jpeg`, which has a folder `train` of its own, where `x` is listed before it."""
    outer: list[Path] = []
    for path in paths:
        if not any(other in path.parents for other in outer):
            outer.append(path)
            yield path


def _has_photographs(mounts: Mounts, path: Path) -> bool:
    listed = mounts.by_path.get(path)
    return listed is not None and any(map(is_photograph, listed.files))


def _check_test_photographs(mounts: Mounts, photographs: Path) -> None:
    folder = image_folder(photographs, "test")
    if not _has_photographs(mounts, folder):
        raise ConfigError(
            f"{folder}: no photographs of the test set there, only of the training set. Attach a "
            "dataset that has both, in jpeg/train and jpeg/test or in train and test."
        )


def _find_tables(
    mounts: Mounts, areas: Sequence[list[Folder]], sha256: str, photographs: Path | None
) -> Path:
    ranks: dict[Path, tuple[bool, bool, int, bool]] = {}
    for place, area in enumerate(areas):
        for folder in area:
            # A dataset that was named may lack the form of a submission.
            wanted = (_TRAIN,) if place == 0 else (_TRAIN, _FORM)
            if folder.path not in ranks and folder.has(*wanted):
                is_another = bool(sha256) and _sha256_of(folder.path / _TRAIN) != sha256
                is_partial = not folder.has(_TRAIN, _TEST, _FORM)
                ranks[folder.path] = is_another, is_partial, place, folder.path != photographs
    if not ranks:
        raise ConfigError(
            f"no competition data: no folder below {mounts.root} has {_TRAIN} and {_FORM}. Attached: "
            f"{mounts.as_text()}. Accept the competition's rules on its page, and push again."
        )
    first = min(ranks.values())
    found = [path for path, rank in ranks.items() if rank == first]
    if len(found) > 1:
        raise ConfigError(
            f"{_TRAIN} is in several folders: {name_some(found)}. Attach only one of them, or name the "
            "dataset with --data when you push."
        )
    return found[0]


def _sha256_of(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


@dataclass(frozen=True)
class AttachedRun:
    """A run, or a part of one, that an earlier kernel has left.

    Attributes:
        name: Of its folder.
        path: Of its folder.
    """

    name: str
    path: Path


def find_runs(mounts: Mounts, job: Job) -> list[AttachedRun]:
    """The runs that a job goes on from: one, perhaps in several parts, except to blend several.

    Raises:
        ConfigError: If there is none where one is needed, or a source has none.
    """
    found = [AttachedRun(f.path.name, f.path) for f in mounts.folders if _is_run(f)]
    needed = job.resume or job.mode != "train"
    missing = [s for s in job.runs if needed and not _has_one(mounts, s, found)]
    if missing:
        raise ConfigError(
            f"{name_some(missing)}: no run in there (a folder with config.yaml and tables.json). "
            f"Attached: {mounts.as_text()}. Wait until that kernel is complete, or leave it out."
        )
    if job.mode != "ensemble":
        found = _of_this_run(found, job)
    if needed and not found:
        purpose = {"train": "go on with", "predict": "predict with", "ensemble": "blend"}[job.mode]
        raise ConfigError(
            f"no run {'' if job.mode == 'ensemble' else job.run_name + ' '}to {purpose}. Attached: "
            f"{mounts.as_text()}. Name the kernels that trained it when you push, and wait until they "
            "are complete."
        )
    return found


def find_fold_files(mounts: Mounts) -> list[Path]:
    """Tables that may be fold files, by their names; their checksums tell which one is meant."""
    return mounts.files(
        lambda path: path.suffix == ".csv" and "fold" in f"{path.parent.name}{path.name}"
    )


def find_weights(mounts: Mounts, names: Collection[str]) -> dict[str, Path]:
    """Find files of weights by their names.

    Raises:
        ConfigError: If one is missing, or there are several of one name that differ.
    """
    listed = mounts.files(lambda path: path.name in names)
    found = {name: [path for path in listed if path.name == name] for name in names}
    missing = [name for name, paths in found.items() if not paths]
    if missing:
        raise ConfigError(
            f"weights {name_some(missing)}: no file of that name is attached. Attached: "
            f"{mounts.as_text()}. Upload it with scripts/push_kernel.py wheels, and push again."
        )
    for name, paths in found.items():
        if not all(filecmp.cmp(paths[0], path, shallow=False) for path in paths[1:]):
            raise ConfigError(
                f"weights {name}: there are several, and they differ: {name_some(paths)}. Attach only "
                "one of them."
            )
    return {name: paths[0] for name, paths in found.items()}


def copy_weights(found: dict[str, Path], folder: Path) -> None:
    """Copy weights to where every session has them: their path is one of a run's settings."""
    for name, path in found.items():
        folder.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(path, folder / name)


def _is_run(folder: Folder) -> bool:
    return folder.has("config.yaml") and (folder.has("tables.json") or folder.has("run.json"))


def _has_one(mounts: Mounts, source: str, runs: Sequence[AttachedRun]) -> bool:
    inside = {folder.path for folder in mounts.of(source)}
    return any(run.path in inside for run in runs)


def _of_this_run(found: list[AttachedRun], job: Job) -> list[AttachedRun]:
    ours = [run for run in found if run.name == job.run_name]
    names = sorted({run.name for run in found})
    if ours or job.mode == "train" or not names:
        return ours
    if len(names) > 1:
        raise ConfigError(
            f"no run {job.run_name}, but {name_some(names)}. Say which with --run when you push."
        )
    return found  # the only run there is: a dataset is named as its owner likes
