"""The tables of a run, each row with its photograph."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from melanoma.folds.files import read_external, read_folds
from melanoma.images.layout import Split
from melanoma.images.reading import find_images
from melanoma.tables import FOLD, IMAGE_NAME, read_test

PATH = "path"


@dataclass(frozen=True)
class Sources:
    """Every photograph that a run may need.

    Attributes:
        train: The competition's training table with the fold of each image.
        external: That of another year, with the fold that must not see an image; None for none.
        test: The test table; None where the competition has none.
        data_dir: The competition folder.
        external_dir: The folder of the external table.

    Each has a column `path` (str): where the photograph is.
    """

    train: pd.DataFrame
    external: pd.DataFrame | None
    test: pd.DataFrame | None
    data_dir: Path
    external_dir: Path | None

    def __iter__(self) -> Iterator[pd.DataFrame]:
        """The tables there are: train, external, test."""
        return (table for table in (self.train, self.external, self.test) if table is not None)

    @property
    def folders(self) -> Iterator[tuple[Path, pd.DataFrame]]:
        """Each table with the folder that its photographs are in."""
        for table in self:
            is_external = table is self.external
            yield (self.external_dir or self.data_dir) if is_external else self.data_dir, table

    @property
    def labelled(self) -> list[pd.DataFrame]:
        """The tables with targets."""
        return [self.train, *([] if self.external is None else [self.external])]

    @property
    def paths(self) -> list[Path]:
        """All photographs, table after table."""
        return [Path(path) for table in self for path in table[PATH]]


def sources_of(settings: Mapping[str, Any]) -> Sources:
    """The tables and photographs that the settings of a data module stand for.

    Args:
        settings: Its arguments by name, the competition folder one of this machine.

    Raises:
        TableError, ImageError: As `read_sources`.
    """
    external = settings["external_csv"]
    return read_sources(
        Path(settings["data_dir"]),
        Path(settings["folds_csv"]),
        settings["fold_column"],
        Path(external) if external else None,
        settings["prefer_suffix"],
    )


def read_sources(
    data_dir: Path,
    folds_csv: Path,
    fold_column: str = FOLD,
    external_csv: Path | None = None,
    prefer_suffix: str | None = None,
) -> Sources:
    """Read a run's tables and find their photographs.

    Args:
        data_dir: The competition folder.
        folds_csv: The fold file made from its train.csv.
        fold_column: The column of it to use.
        external_csv: The train.csv of another year, its photographs beside it.
        prefer_suffix: As of `find_images`.

    Raises:
        TableError, ImageError: Naming what is missing or wrong, and where.
    """
    train = read_folds(folds_csv, data_dir, fold_column)
    external = read_external(folds_csv, data_dir, external_csv, fold_column)
    external_dir = None if external_csv is None else external_csv.parent
    test = read_test(data_dir)

    def with_paths(table: pd.DataFrame, folder: Path, split: Split) -> pd.DataFrame:
        paths = find_images(folder, split, table[IMAGE_NAME].tolist(), prefer_suffix)
        return table.assign(**{PATH: [str(path) for path in paths]})

    return Sources(
        with_paths(train, data_dir, "train"),
        None if external is None else with_paths(external, external_dir or data_dir, "train"),
        None if test is None else with_paths(test, data_dir, "test"),
        data_dir,
        external_dir,
    )
