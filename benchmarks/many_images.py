"""The competition at its real size: its own tables, with photographs of another, linked."""

import itertools
import os
from pathlib import Path

import pandas as pd
from common import SHARED

from melanoma.folds.creation import create_folds
from melanoma.tables import INDEX_COLUMNS


def make_competition(
    folder: Path, tables: Path | None = None, photographs: Path | None = None
) -> Path:
    """Fill a folder with 33,126 training and 10,982 test photographs, images.csv and five folds.

    Args:
        folder: An empty folder.
        tables: With train.csv and test.csv of SIIM-ISIC 2020.
        photographs: A few hundred JPEGs; each is linked many times.

    Returns:
        The fold file.
    """
    tables = tables or SHARED / "siim2020"
    sources = sorted((photographs or SHARED / "isic2018" / "jpeg" / "train").resolve().iterdir())
    index = []
    for split in ("train", "test"):
        table = pd.read_csv(tables / f"{split}.csv")
        table.to_csv(folder / f"{split}.csv", index=False)
        (folder / "jpeg" / split).mkdir(parents=True)
        for name, source in zip(table["image_name"], itertools.cycle(sources)):
            os.symlink(source, folder / "jpeg" / split / f"{name}.jpg")
            index.append((name, split, 6000, 4000, source.stat().st_size, "0" * 64))
    pd.DataFrame(index, columns=INDEX_COLUMNS).to_csv(folder / "images.csv", index=False)
    create_folds(folder, output=folder / "folds.csv")
    return folder / "folds.csv"
