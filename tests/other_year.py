"""A second, older data set beside the tiny competition."""

from pathlib import Path

import pandas as pd
from PIL import Image


def other_year(tmp_path: Path, competition: Path) -> Path:
    """Four images of another year: of a known patient, and three of strangers."""
    train = pd.read_csv(competition / "train.csv")
    table = pd.DataFrame(
        {
            "image_name": ["OLD_0", "OLD_1", "OLD_2", "OLD_3"],
            "patient_id": [train["patient_id"][0], "stranger", "stranger", None],
            "target": [0, 1, 0, 0],
        }
    )
    folder = tmp_path / "input" / "old"
    (folder / "train").mkdir(parents=True)
    table.to_csv(folder / "train.csv", index=False)
    for name in table["image_name"]:
        Image.new("RGB", (20, 20), "brown").save(folder / "train" / f"{name}.jpg")
    return folder / "train.csv"
