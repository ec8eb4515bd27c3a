"""Photographs that are only predicted: no folds, no targets, no train.csv."""

from collections.abc import Sequence
from pathlib import Path

import lightning.pytorch as pl
import numpy as np
import pandas as pd
from torch.utils.data import DataLoader

from melanoma.errors import TableError
from melanoma.images.dataset import Batch, MelanomaDataset
from melanoma.images.reading import check_images, find_images
from melanoma.images.workers import create_loader, default_workers, workers_with_room
from melanoma.tables import IMAGE_NAME, read_test, test_csv


class PredictionDataModule(pl.LightningDataModule):
    """Photographs in the order given, as they are.

    Args:
        paths: A photograph per row.
        image_size_px: Side of the square they are resized to.
        batch_size: Photographs per step and device.
        num_workers: Processes that read them; None for one per core, at most 8. Fewer where shared
            memory has no room for their batches.
        fill_batches: Whether the last batch is filled up, as of `create_loader`.
    """

    def __init__(
        self,
        paths: Sequence[Path],
        image_size_px: int,
        batch_size: int,
        num_workers: int | None = None,
        fill_batches: bool = False,
    ) -> None:
        super().__init__()
        targets = np.full(len(paths), np.nan, dtype=np.float32)
        self.dataset = MelanomaDataset(paths, targets, image_size_px)
        self.batch_size = batch_size
        # Batches may be larger than those that a number was once given for.
        self.num_workers = (
            default_workers(batch_size, image_size_px)
            if num_workers is None
            else min(num_workers, workers_with_room(batch_size, image_size_px))
        )
        self.fill_batches = fill_batches

    def predict_dataloader(self) -> DataLoader[Batch]:
        """All photographs, each of several devices taking its part."""
        return create_loader(
            self.dataset,
            self.trainer,
            self.batch_size,
            self.num_workers,
            fill_batches=self.fill_batches,
        )


def read_test_table(data_dir: Path) -> pd.DataFrame:
    """Read and check the test.csv of a folder that must have one.

    Raises:
        TableError: If it is missing, or cannot be used.
    """
    table = read_test(data_dir)
    if table is None:
        raise TableError(
            f"{test_csv(data_dir)}: no such file, so there is nothing to predict. Give the folder "
            "with test.csv and its photographs as --data-dir."
        )
    return table


def find_test_photographs(
    data_dir: Path, table: pd.DataFrame, prefer_suffix: str | None = None
) -> list[Path]:
    """Find and check the photograph of each row of a test table.

    Args:
        data_dir: The folder with the table and its photographs.
        table: A row per photograph, with image_name.
        prefer_suffix: As of `find_images`.

    Raises:
        ImageError: If photographs are missing, ambiguous or damaged.
    """
    paths = find_images(data_dir, "test", table[IMAGE_NAME].tolist(), prefer_suffix)
    check_images(paths, data_dir)
    return paths
