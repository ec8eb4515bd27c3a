"""Resized copies of a competition's photographs, as a competition folder of its own."""

import os
from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import NamedTuple

import pandas as pd
from tqdm import tqdm

from melanoma.errors import ConfigError, MelanomaError
from melanoma.files import write_bytes
from melanoma.images.copies import CopyJob, CopyResult, CopySettings, make_copy
from melanoma.images.decoding import name_defects
from melanoma.images.index import copy_path, images_csv
from melanoma.images.layout import Split
from melanoma.images.prepare_target import check_folders, check_space, claim, remove_leftovers
from melanoma.images.processes import map_in_processes
from melanoma.images.reading import find_images
from melanoma.remote.address import refuse_address
from melanoma.tables import (
    BROKEN_COLUMNS,
    IMAGE_NAME,
    INDEX_COLUMNS,
    read_sample_submission,
    read_test,
    read_train,
    sample_submission_csv,
    test_csv,
    train_csv,
)

_LARGEST_PX = 10_000


class Photograph(NamedTuple):
    """A row of train.csv or test.csv."""

    image_name: str
    split: Split


@dataclass(frozen=True)
class Prepared:
    """What was made.

    Attributes:
        output_dir: The folder of the copies.
        images_csv: The list of them, which is written last; None if the folder is not complete.
        n_new: How many copies were made now.
        n_kept: How many finished copies were there.
        broken: What is wrong with each photograph that cannot be used.
        broken_csv: The list of those; None if there are none.
    """

    output_dir: Path
    images_csv: Path | None
    n_new: int
    n_kept: int
    broken: dict[Photograph, str]
    broken_csv: Path | None

    def as_text(self) -> str:
        """What was made, for the terminal."""
        text = f"{self.n_new} copies made, {self.n_kept} were finished already"
        if self.broken and self.images_csv:
            text += f"\n{self._name_broken()} Left out of {train_csv(self.output_dir)}."
        return text

    @property
    def problem(self) -> str | None:
        """Why the folder is not complete, and what to do; None if it is."""
        if self.images_csv:
            return None
        text = (
            f"{self._name_broken()} Download or copy these files again and give the same command: "
            "finished copies stay."
        )
        n_test = sum(photograph.split == "test" for photograph in self.broken)
        if n_test < len(self.broken):
            text += " --skip-broken leaves broken training photographs out."
        if n_test:
            text += f" The {n_test} of the test set cannot be skipped: a submission needs every id."
        return text

    def _name_broken(self) -> str:
        names = ((photograph.image_name, defect) for photograph, defect in self.broken.items())
        return (
            f"{len(self.broken)} photographs cannot be used, all of them listed in "
            f"{self.broken_csv}. {name_defects(names)}."
        )


def prepare_images(
    data_dir: Path,
    output_dir: Path,
    size: int = 512,
    square: bool = False,
    quality: int = 95,
    skip_broken: bool = False,
    num_workers: int | None = None,
    prefer_suffix: str | None = None,
) -> Prepared:
    """Make a resized copy of every photograph that train.csv and test.csv name, and list them.

    The output is a competition folder of its own: the tables, jpeg/train, jpeg/test, and images.csv
    (image_name, split, width and height of the original, bytes of the copy, perceptual hash), which
    is written last. Finished copies are left as they are: the same command goes on after a stop.

    Args:
        data_dir: The competition folder; without a test.csv the training photographs are enough.
        output_dir: A new folder, or one that this script has begun with the same size, square and
            quality; outside the competition folder.
        size: Shorter side of the copies in pixels. A smaller photograph keeps its size.
        square: Make squares of exactly `size` instead; the longer side is squeezed.
        quality: Of the JPEG files, 1 to 100.
        skip_broken: Leave broken training photographs out of the output's train.csv, and record
            them in its broken.csv.
        num_workers: Processes; by default one per core.
        prefer_suffix: Which file is the photograph where an image name has several: .jpg, .jpeg or
            .png. By default that is an error.

    Raises:
        TableError, ImageError: If a table is broken, or photographs are missing or ambiguous.
        ConfigError: If an option is out of range, or the folder holds something else.
        RunError: If another process is making copies in that folder.
        MelanomaError: If there is not enough space, or the folder cannot be written.
    """
    settings = CopySettings(size, square, quality)
    _check_options(settings, num_workers)
    refuse_address(data_dir, "making copies")
    check_folders(data_dir, output_dir)
    photographs, sources = _find_photographs(data_dir, prefer_suffix)
    jobs = [
        CopyJob(source, copy_path(output_dir, photograph.split, photograph.image_name))
        for photograph, source in zip(photographs, sources)
    ]
    with claim(output_dir, settings):
        remove_leftovers(output_dir)
        check_space(output_dir, jobs, settings)
        results = _make_copies(jobs, settings, num_workers or os.cpu_count() or 1)
        return _finish(data_dir, output_dir, dict(zip(photographs, results)), skip_broken)


def _check_options(settings: CopySettings, num_workers: int | None) -> None:
    for name, value, most in (
        ("size", settings.size, _LARGEST_PX),
        ("quality", settings.quality, 100),
    ):
        if not 1 <= value <= most:
            raise ConfigError(f"--{name} {value}: must be between 1 and {most}.")
    if num_workers is not None and num_workers < 1:
        raise ConfigError(f"--num_workers {num_workers}: must be at least 1.")


def _find_photographs(
    data_dir: Path, prefer_suffix: str | None
) -> tuple[list[Photograph], list[Path]]:
    tables: dict[Split, pd.DataFrame | None] = {
        "train": read_train(data_dir),
        "test": read_test(data_dir),
    }
    read_sample_submission(data_dir)  # it is copied too, and had better be right
    photographs: list[Photograph] = []
    paths: list[Path] = []
    for split, table in tables.items():
        if table is not None:
            names = table[IMAGE_NAME].tolist()
            photographs += [Photograph(name, split) for name in names]
            paths += find_images(data_dir, split, names, prefer_suffix)
    return photographs, paths


def _make_copies(
    jobs: Sequence[CopyJob], settings: CopySettings, num_workers: int
) -> list[CopyResult]:
    make = partial(make_copy, settings=settings)
    try:
        with closing(map_in_processes(make, jobs, num_workers)) as results:
            # Without a terminal (disable=None) there is no bar.
            return list(tqdm(results, total=len(jobs), unit=" images", disable=None))
    except MelanomaError as error:
        raise MelanomaError(
            f"{error} Finished copies stay; the same command goes on from there."
        ) from error


def _finish(
    data_dir: Path, output_dir: Path, results: dict[Photograph, CopyResult], skip_broken: bool
) -> Prepared:
    broken = {photograph: result.defect for photograph, result in results.items() if result.defect}
    broken_csv = _write_broken(output_dir / "broken.csv", broken)
    index = None
    if not broken or (skip_broken and all(photo.split == "train" for photo in broken)):
        _copy_tables(data_dir, output_dir, [photograph.image_name for photograph in broken])
        index = _write_index(images_csv(output_dir), results)
    n_new = sum(result.is_new for result in results.values())
    n_kept = len(results) - len(broken) - n_new
    return Prepared(output_dir, index, n_new, n_kept, broken, broken_csv)


def _write_broken(path: Path, broken: dict[Photograph, str]) -> Path | None:
    if not broken:
        path.unlink(missing_ok=True)
        return None
    rows = [(*photograph, defect) for photograph, defect in broken.items()]
    return _write_table(path, pd.DataFrame(rows, columns=BROKEN_COLUMNS))


def _copy_tables(data_dir: Path, output_dir: Path, left_out: Sequence[str]) -> None:
    for place in (test_csv, sample_submission_csv):
        if place(data_dir).exists():
            _write(place(output_dir), place(data_dir).read_bytes())
    if not left_out:
        # To the byte: folds made for the original belong to the copy, too.
        _write(train_csv(output_dir), train_csv(data_dir).read_bytes())
        return
    # As text: no value is to be changed.
    train = pd.read_csv(train_csv(data_dir), dtype=str, keep_default_na=False, encoding="utf-8-sig")
    _write_table(train_csv(output_dir), train[~train[IMAGE_NAME].isin(left_out)])


def _write_index(path: Path, results: dict[Photograph, CopyResult]) -> Path:
    rows = [
        (*photograph, origin.width, origin.height, result.n_bytes, origin.phash)
        for photograph, result in results.items()
        if (origin := result.origin) is not None
    ]
    return _write_table(path, pd.DataFrame(rows, columns=INDEX_COLUMNS))


def _write_table(path: Path, table: pd.DataFrame) -> Path:
    return _write(path, table.to_csv(index=False, lineterminator="\n").encode())


def _write(path: Path, content: bytes) -> Path:
    if path.is_file() and path.read_bytes() == content:
        return path
    return write_bytes(path, content)
