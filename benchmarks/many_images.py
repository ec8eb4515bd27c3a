"""The competition at its real size: its own tables, with photographs of another, linked."""

import itertools
import os
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "src"))

import pandas as pd  # noqa: E402

from melanoma.folds.creation import create_folds  # noqa: E402
from melanoma.tables import INDEX_COLUMNS  # noqa: E402

SHARED = ROOT.parent / "shared" / "data"


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
