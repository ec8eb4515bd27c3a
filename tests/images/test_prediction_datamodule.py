from pathlib import Path

import pytest

from melanoma.errors import ImageError, TableError
from melanoma.images.prediction_datamodule import (
    PredictionDataModule,
    find_test_photographs,
    read_test_table,
)


def test_all_photographs_come_once_in_order_without_targets(competition: Path) -> None:
    paths = find_test_photographs(competition, read_test_table(competition))
    data = PredictionDataModule(paths, image_size_px=16, batch_size=4, num_workers=0)
    batches = list(data.predict_dataloader())
    assert [len(batch["image"]) for batch in batches] == [4, 4, 2]
    assert [row for batch in batches for row in batch["index"].tolist()] == list(range(10))
    assert all(batch["target"].isnan().all() for batch in batches)


def test_a_folder_without_test_photographs_is_named(competition: Path) -> None:
    table = read_test_table(competition)
    (competition / "jpeg" / "test" / "TEST_001.jpg").unlink()
    with pytest.raises(ImageError, match=r"1 of 10 test images are missing: TEST_001"):
        find_test_photographs(competition, table)
    (competition / "test.csv").unlink()
    with pytest.raises(TableError, match=r"test.csv: no such file, so there is nothing to predict"):
        read_test_table(competition)
