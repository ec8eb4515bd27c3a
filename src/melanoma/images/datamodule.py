"""One fold of a competition as a Lightning data module."""

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Literal, cast

import cv2
import lightning.pytorch as pl
import numpy as np
import numpy.typing as npt
import pandas as pd
import torch
from torch.utils.data import DataLoader

from melanoma.diagnoses import CLASSES, UNKNOWN, diagnosis_classes
from melanoma.errors import ConfigError, name_some
from melanoma.folds.files import EXCLUDED, read_external, read_folds
from melanoma.images.dataset import Batch, DrawSampler, MelanomaDataset
from melanoma.images.reading import Split, check_images, find_images
from melanoma.images.transforms import Augmentation, AugmentationName
from melanoma.metadata import MetadataStatistics
from melanoma.tables import FOLD, IMAGE_NAME, TARGET, read_test, train_csv

Stage = Literal["train", "val", "test"]
Sampling = Literal["uniform", "balanced"]

UNKNOWN_CLASS = CLASSES.index(UNKNOWN)


class MelanomaDataModule(pl.LightningDataModule):
    """Fold k validates, all other folds train, and the test set is predicted.

    Args:
        data_dir: The competition folder: train.csv, test.csv if there is one, and the photographs
            in jpeg/train, train or the folder itself.
        folds_csv: The fold file that scripts/create_folds.py made from that train.csv.
        fold_column: Its column: fold_1 for the first repeat, tfrecord%5 for a file made elsewhere.
        external_csv: The train.csv of another year that the folds were made with (--external), its
            photographs beside it: trained on, never validated on.
        image_size: Side in pixels of the square that photographs are resized to.
        batch_size: Photographs per step and device.
        num_workers: Processes that read photographs; by default one per core, at most 8. Their
            number changes the speed, never what is fed.
        augmentation: Random changes of training photographs: none, light, medium or heavy.
        nuisances: Whether hairs and the black rim of a microscope are drawn on some of them.
        sampling: Of training photographs: uniform (each once an epoch) or balanced (melanomas and all
            others equally often, drawn with replacement).
        unknown_diagnosis: Where diagnoses are learnt, whether unknown is a class or its training
            photographs are left out.
        fold: The validation fold.
        seed: Seed of the order and the augmentation of the training photographs.
        with_diagnoses: Whether batches hold the diagnosis, because it is learnt.
        with_metadata: Whether batches hold metadata, because it is used.
    """

    def __init__(
        self,
        data_dir: str = "input/siim-isic-melanoma-classification",
        folds_csv: str = "folds/folds.csv",
        fold_column: str = FOLD,
        external_csv: str | None = None,
        image_size: int = 256,
        batch_size: int = 32,
        num_workers: int | None = None,
        augmentation: AugmentationName = "light",
        nuisances: bool = False,
        sampling: Sampling = "uniform",
        unknown_diagnosis: Literal["class", "left_out"] = "class",
        fold: int = 0,
        seed: int = 42,
        with_diagnoses: bool = False,
        with_metadata: bool = False,
    ) -> None:
        super().__init__()
        for name, value in [("image_size", image_size), ("batch_size", batch_size)]:
            if value < 1:
                raise ConfigError(f"--data.{name} {value}: must be at least 1.")
        if num_workers is not None and num_workers < 0:
            raise ConfigError(f"--data.num_workers {num_workers}: must not be negative.")
        self.data_dir = Path(data_dir)
        self.folds_csv = Path(folds_csv)
        self.fold_column = fold_column
        self.external_csv = Path(external_csv) if external_csv else None
        self.image_size = image_size
        self.batch_size = batch_size
        self.num_workers = min(8, os.cpu_count() or 1) if num_workers is None else num_workers
        self.augmentation = Augmentation(augmentation, nuisances)
        self.fold = fold
        self.sampling = sampling
        self.unknown_diagnosis = unknown_diagnosis
        self.seed = seed
        self.with_diagnoses = with_diagnoses
        self.with_metadata = with_metadata
        self.metadata_statistics: MetadataStatistics | None = None
        self._checked = False
        self._datasets: dict[Stage, MelanomaDataset] = {}
        self._tables: dict[Stage, pd.DataFrame] = {}

    def prepare_data(self) -> None:
        """Check every table and photograph that the run will need; once, on one process.

        Raises:
            TableError, ImageError, ConfigError: Naming what is wrong and where.
        """
        if self._checked:
            return
        for table, folder, split in self._sources():
            if self.with_diagnoses and split == "train":
                diagnosis_classes(table, str(train_csv(folder)))
            if self.with_metadata and split == "train":
                MetadataStatistics.fit(table)
            check_images(find_images(folder, split, table[IMAGE_NAME].tolist()))
        self._checked = True

    def setup(self, stage: str | None = None) -> None:
        """Split the tables by fold and make the three datasets; the stage makes no difference."""
        if self._datasets:
            return
        train = self._read_train()
        validates = train[FOLD] == self.fold
        own = self._paths(train, self.data_dir, "train")
        training, paths = train[~validates], own[~validates]
        external = self._read_external()
        if external is not None:
            seen = external[external[EXCLUDED] != self.fold]
            folder = cast(Path, self.external_csv).parent
            training = pd.concat([training, seen], ignore_index=True)
            paths = pd.concat([paths, self._paths(seen, folder, "train")], ignore_index=True)
        if self.with_diagnoses and self.unknown_diagnosis == "left_out":
            known = diagnosis_classes(training, str(train_csv(self.data_dir))) != UNKNOWN_CLASS
            training, paths = training[known], paths[known]
        if self.with_metadata:
            # Of the training photographs alone: what is validated must not be looked at.
            self.metadata_statistics = MetadataStatistics.fit(training)
        self._add_dataset("train", training, paths)
        self._add_dataset("val", train[validates], own[validates])
        test = read_test(self.data_dir)
        if test is not None:
            self._add_dataset("test", test, self._paths(test, self.data_dir, "test"))

    def table(self, stage: Stage) -> pd.DataFrame:
        """The rows of a stage's photographs, by whose number (`index`) predictions are ordered."""
        return self._tables[stage]

    def dataset(self, stage: Stage) -> MelanomaDataset:
        """The photographs of a stage, by row of its table."""
        return self._datasets[stage]

    @property
    def has_test_set(self) -> bool:
        """Whether the competition folder has a test.csv; known after `setup`."""
        return "test" in self._datasets

    def train_dataloader(self) -> DataLoader[Batch]:
        """The photographs of all other folds: shuffled, augmented, the odd last batch dropped."""
        return self._loader("train")

    def val_dataloader(self) -> DataLoader[Batch]:
        """The photographs of the fold, all of them, in the table's order, as they are."""
        return self._loader("val")

    def test_dataloader(self) -> DataLoader[Batch]:
        """The test photographs, all of them, in the table's order, as they are."""
        return self._loader("test")

    def predict_dataloader(self) -> DataLoader[Batch]:
        """The same as for testing."""
        return self._loader("test")

    def _sources(self) -> Iterator[tuple[pd.DataFrame, Path, Split]]:
        yield self._read_train(), self.data_dir, "train"
        external = self._read_external()
        if external is not None:
            yield external, cast(Path, self.external_csv).parent, "train"
        test = read_test(self.data_dir)
        if test is not None:
            yield test, self.data_dir, "test"

    def _read_train(self) -> pd.DataFrame:
        train = read_folds(self.folds_csv, self.data_dir, self.fold_column)
        known = sorted(train[FOLD].unique())
        if self.fold not in known:
            raise ConfigError(
                f"--fold {self.fold}: {self.folds_csv} has no such fold, but {name_some(known)}."
            )
        return train

    def _read_external(self) -> pd.DataFrame | None:
        return read_external(self.folds_csv, self.data_dir, self.external_csv, self.fold_column)

    def _paths(self, rows: pd.DataFrame, folder: Path, split: Split) -> "pd.Series[Any]":
        paths = find_images(folder, split, rows[IMAGE_NAME].tolist())
        return pd.Series(paths, index=rows.index, dtype=object)

    def _add_dataset(self, stage: Stage, rows: pd.DataFrame, paths: "pd.Series[Any]") -> None:
        table = rows.reset_index(drop=True)
        unknown = np.full(len(table), np.nan)
        targets = table[TARGET].to_numpy() if TARGET in table else unknown
        self._tables[stage] = table
        self._datasets[stage] = MelanomaDataset(
            paths.tolist(),
            targets.astype(np.float32),
            self.image_size,
            self.augmentation if stage == "train" else None,
            self.seed,
            self._diagnoses(table),
            self._metadata(table),
        )

    def _diagnoses(self, table: pd.DataFrame) -> npt.NDArray[np.int64] | None:
        if not self.with_diagnoses:
            return None
        if TARGET not in table:
            return np.full(len(table), -1, dtype=np.int64)
        return diagnosis_classes(table, str(train_csv(self.data_dir)))

    def _metadata(self, table: pd.DataFrame) -> npt.NDArray[np.float32] | None:
        statistics = self.metadata_statistics
        return None if statistics is None else statistics.transform(table)

    def _sampling_weights(self, stage: Stage) -> npt.NDArray[np.float64] | None:
        if stage != "train" or self.sampling == "uniform":
            return None
        targets = self._tables[stage][TARGET].to_numpy()
        of_class: npt.NDArray[np.float64] = 1 / np.bincount(targets, minlength=2)[targets]
        return of_class

    def _loader(self, stage: Stage) -> DataLoader[Batch]:
        # The only place where a loader is made: shuffling and dropping are functions of the stage,
        # so that a validation set can be neither shuffled nor cut.
        dataset = self._datasets[stage]
        training = stage == "train"
        sampler = DrawSampler(
            dataset,
            num_replicas=self.trainer.world_size if self.trainer else 1,
            rank=self.trainer.global_rank if self.trainer else 0,
            shuffle=training,
            seed=self.seed,
            weights=self._sampling_weights(stage),
        )
        return DataLoader(
            dataset,
            batch_size=min(self.batch_size, len(sampler)),
            sampler=sampler,
            drop_last=training,
            num_workers=self.num_workers,
            persistent_workers=self.num_workers > 0,
            pin_memory=torch.cuda.is_available(),
            worker_init_fn=_use_one_thread,
        )


def _use_one_thread(_worker: int) -> None:
    # A worker is one of as many as there are cores; threads of its own would fight the others'.
    cv2.setNumThreads(0)
    torch.set_num_threads(1)
