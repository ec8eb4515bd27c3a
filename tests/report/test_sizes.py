from pathlib import Path

import pandas as pd

from melanoma.report.sizes import photograph_sizes


def rows(*names: str) -> pd.DataFrame:
    return pd.DataFrame({"image_name": names})


def test_sizes_come_from_the_table_the_index_or_the_files(competition: Path) -> None:
    given = rows("TRAIN_000", "TRAIN_001")
    columns = given.assign(width=[10, 5], height=[20, float("nan")])
    known = photograph_sizes(columns, competition)
    assert known is not None
    assert known.tolist() == ["20 x 10", "unknown"]
    of_files = photograph_sizes(given, competition)
    assert of_files is not None
    assert of_files.tolist() == ["48 x 36"] * 2
    (competition / "images.csv").write_text(
        "image_name,split,width,height\nTRAIN_001,train,6000,4000\nTRAIN_000,test,1,1\n"
    )
    of_index = photograph_sizes(given, competition)
    assert of_index is not None
    assert of_index.tolist() == ["unknown", "6000 x 4000"]


def test_a_damaged_file_is_of_unknown_size_and_no_files_of_none(competition: Path) -> None:
    (competition / "jpeg/train/TRAIN_001.jpg").write_bytes(b"no photograph")
    known = photograph_sizes(rows("TRAIN_000", "TRAIN_001"), competition)
    assert known is not None
    assert known.tolist() == ["48 x 36", "unknown"]
    assert photograph_sizes(rows("NOBODY"), competition) is None
    assert photograph_sizes(rows("TRAIN_000"), competition / "away") is None
