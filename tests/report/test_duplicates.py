import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from melanoma.report import duplicates
from melanoma.report.duplicates import duplicates_section, find_doubtful_pairs


def rows() -> pd.DataFrame:
    names = [f"TRAIN_{number:03d}" for number in range(40)]
    targets = [int(number % 4 == 0) for number in range(40)]
    return pd.DataFrame({"image_name": names, "target": targets, "fold": [0, 1] * 20})


def test_a_photograph_in_both_classes_is_found(competition: Path, folds_csv: Path) -> None:
    photographs = competition / "jpeg/train"
    shutil.copy(photographs / "TRAIN_000.jpg", photographs / "TRAIN_001.jpg")
    pairs, origin = find_doubtful_pairs(rows(), competition, folds_csv)
    assert pairs is not None
    assert ("TRAIN_000", "TRAIN_001") in set(zip(pairs["image_name_1"], pairs["image_name_2"]))
    assert "40 photographs" in origin
    section = duplicates_section(pairs, origin, rows(), np.linspace(0, 1, 40))
    assert ["TRAIN_000", "melanoma, fold 0, score 0.0000"] in [
        list(row[:2]) for row in section.tables[0].rows
    ]


def test_listed_pairs_are_taken_and_photographs_are_not_opened(tmp_path: Path) -> None:
    listed = (
        "image_name_1,image_name_2\nTRAIN_000,TRAIN_001\nTRAIN_002,TRAIN_006\nTRAIN_000,OTHER\n"
    )
    (tmp_path / "folds_duplicates.csv").write_text(listed)
    pairs, origin = find_doubtful_pairs(rows(), tmp_path / "away", tmp_path / "folds.csv")
    assert pairs is not None
    assert pairs["image_name_2"].tolist() == ["TRAIN_001"]  # the second pair is alike in both
    assert "folds_duplicates.csv" in origin


def test_where_nobody_has_looked_it_is_said(competition: Path, folds_csv: Path) -> None:
    pairs, why = find_doubtful_pairs(rows(), competition / "away", folds_csv)
    assert pairs is None
    assert "photographs are not here" in why
    (competition / "jpeg/train/TRAIN_003.jpg").unlink()
    assert "TRAIN_003" in find_doubtful_pairs(rows(), competition, folds_csv)[1]
    assert not duplicates_section(None, why, rows(), np.zeros(40)).tables


def test_too_many_photographs_are_not_opened(
    competition: Path, folds_csv: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(duplicates, "MOST_TO_HASH", 10)
    pairs, why = find_doubtful_pairs(rows(), competition, folds_csv)
    assert pairs is None
    assert "40 photographs would have to be opened" in why
