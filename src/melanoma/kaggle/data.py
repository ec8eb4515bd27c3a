"""The competition folder of a kernel: found by its tables and photographs, wherever they are."""

import hashlib
import shutil
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from melanoma.errors import ConfigError, name_some
from melanoma.images.layout import Split, image_folder, is_photograph
from melanoma.kaggle.mounts import Folder, Mounts

_TRAIN, _TEST, _FORM = "train.csv", "test.csv", "sample_submission.csv"
# What scripts/prepare_images.py says of its copies.
_INDEX = "images.csv"


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
