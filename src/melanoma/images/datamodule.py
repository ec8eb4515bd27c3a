"""One fold of a competition as a Lightning data module."""

from copy import copy
from functools import cached_property
from pathlib import Path
from typing import Literal

import lightning.pytorch as pl
import numpy as np
import numpy.typing as npt
import pandas as pd
import torch
from torch import Tensor
from torch.utils.data import DataLoader

from melanoma.diagnoses import CLASSES, UNKNOWN, diagnosis_classes
from melanoma.errors import ConfigError, name_some
from melanoma.folds.files import EXCLUDED
from melanoma.folds.leaks import leaking_patients
from melanoma.identifiers import TRAINED_ON, hash_forms, normal_form
from melanoma.images.cache import PixelCache, fill_cache, open_cache
from melanoma.images.dataset import Batch, MelanomaDataset
from melanoma.images.reading import check_images
from melanoma.images.sources import PATH, Sources, read_sources
from melanoma.images.transforms import Augmentation, AugmentationName
from melanoma.images.workers import (
    SHARED_MEMORY,
    create_loader,
    default_workers,
    workers_with_room,
)
from melanoma.metadata import MetadataStatistics
from melanoma.remote.opening import DEFAULT_SIZE, local_folder
from melanoma.tables import DIAGNOSIS, FOLD, IMAGE_NAME, TARGET, check_form, test_csv, train_csv

Stage = Literal["train", "val", "test"]
Sampling = Literal["uniform", "balanced"]

UNKNOWN_CLASS = CLASSES.index(UNKNOWN)


class MelanomaDataModule(pl.LightningDataModule):
    """Fold k validates, all other folds train, and the test set is predicted.

    Args:
        data_dir: The competition folder: train.csv, test.csv if there is one, and the photographs
            in jpeg/train, train or the folder itself. Or its address, such as s3://bucket/siim.
        folds_csv: The fold file that scripts/create_folds.py made from that train.csv.
        fold_column: Its column: fold_1 for the first repeat, tfrecord%5 for a file made elsewhere.
        external_csv: The train.csv of another year that the folds were made with (--external), its
            photographs beside it: trained on, never validated on.
        image_size: Side in pixels of the square that photographs are resized to.
        batch_size: Photographs per step and device.
        cache: A folder for one file of decoded photographs, shared by all workers and folds, which
            spares decoding them each time; None for none. It takes 3 * image_size ** 2 bytes each.
        data_cache: Of an address: the folder of this machine for what is fetched, by default
            ~/.cache/melanoma.
        data_cache_size: Of an address: what the photographs there may take, such as 20GB. Those that
            find no place are fetched in each epoch.
        num_workers: Processes that read photographs; by default one per core, at most 8, and no more
            than shared memory has room for. Their number changes the speed, never what is fed.
        augmentation: Random changes of training photographs: none, light, medium or heavy.
        nuisances: Whether hairs and the black rim of a microscope are drawn on some of them.
        sampling: Of training photographs: uniform (each once an epoch) or balanced (melanomas and all
            others equally often, drawn with replacement).
        unknown_diagnosis: Where diagnoses are learnt, whether unknown is a class or its training
            photographs are left out.
        prefer_suffix: Which file is the photograph where an image name has several, such as a mask
            beside it: .jpg, .jpeg or .png. By default that is an error.
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
        cache: str | None = None,
        data_cache: str | None = None,
        data_cache_size: str = DEFAULT_SIZE,
        num_workers: int | None = None,
        augmentation: AugmentationName = "light",
        nuisances: bool = False,
        sampling: Sampling = "uniform",
        unknown_diagnosis: Literal["class", "left_out"] = "class",
        prefer_suffix: str | None = None,
        fold: int = 0,
        seed: int = 42,
        with_diagnoses: bool = False,
        with_metadata: bool = False,
    ) -> None:
        super().__init__()
        for name, value in [("image_size", image_size), ("batch_size", batch_size)]:
            if value < 1:
                raise ConfigError(f"--data.{name} {value}: must be at least 1.")
        self.data_dir = local_folder(data_dir, data_cache, data_cache_size)
        self.folds_csv = Path(folds_csv)
        self.fold_column = fold_column
        self.external_csv = Path(external_csv) if external_csv else None
        self.image_size = image_size
        self.batch_size = batch_size
        self.cache = Path(cache) if cache else None
        self.num_workers = _checked_workers(num_workers, batch_size, image_size)
        self.augmentation = Augmentation(augmentation, nuisances)
        self.fold = fold
        self.sampling = sampling
        self.unknown_diagnosis = unknown_diagnosis
        self.prefer_suffix = prefer_suffix
        self.seed = seed
        self.with_diagnoses = with_diagnoses
        self.with_metadata = with_metadata
        self.metadata_statistics: MetadataStatistics | None = None
        # Decided by the device, before the first loader is made: see `create_loader`.
        self.fill_batches = False
        self._datasets: dict[Stage, MelanomaDataset] = {}
        self._tables: dict[Stage, pd.DataFrame] = {}

    def prepare_data(self) -> None:
        """Check every table and photograph that the run will need; once, on one process.

        Raises:
            TableError, ImageError, ConfigError: Naming what is wrong and where.
        """
        self._check_fold()
        check_form(self._sources.test, self.data_dir)
        for table, path in zip(
            self._sources.labelled, [train_csv(self.data_dir), self.external_csv]
        ):
            if self.with_diagnoses:
                diagnosis_classes(table, str(path))
            if self.with_metadata:
                MetadataStatistics.fit(table)
        for folder, table in self._sources.folders:
            check_images([Path(path) for path in table[PATH]], folder)
        if self.cache is not None:
            fill_cache(self.cache, self._sources.paths, self.image_size)

    def setup(self, stage: str | None = None) -> None:
        """Split the tables by fold and make the three datasets; the stage makes no difference."""
        if self._datasets:
            return
        self._check_fold()
        training, validation = self.rows_of(self.fold)
        if self.with_metadata:
            # Of the training photographs alone: what is validated must not be looked at.
            self.metadata_statistics = MetadataStatistics.fit(training)
        self._add_dataset("train", training)
        self._add_dataset("val", validation)
        if self._sources.test is not None:
            self._add_dataset("test", self._sources.test)

    def rows_of(self, fold: int) -> tuple[pd.DataFrame, pd.DataFrame]:
        """The rows that a fold trains on, and those that it validates, each with its photograph."""
        train, external = self._sources.train, self._sources.external
        validates = train[FOLD] == fold
        training = train[~validates]
        if external is not None:
            seen = external[external[EXCLUDED] != fold]
            training = pd.concat([training, seen], ignore_index=True)
        if self.with_diagnoses and self.unknown_diagnosis == "left_out":
            known = diagnosis_classes(training, str(train_csv(self.data_dir))) != UNKNOWN_CLASS
            training = training[known]
        return training, train[validates]

    def excerpt(self, n_batches: int) -> "MelanomaDataModule":
        """The same fold with one photograph of each class to train on, and one to validate.

        Read by this process. Only once it is set up.

        Args:
            n_batches: Of an epoch of training, each of the two photographs again.
        """
        few = copy(self)
        few._datasets, few._tables = {}, {}
        few.batch_size, few.num_workers = min(self.batch_size, 2), 0
        training, validation = (
            rows.groupby(TARGET, sort=False).head(1) for rows in self.rows_of(self.fold)
        )
        again = np.resize(np.arange(len(training)), n_batches * few.batch_size)
        few._add_dataset("train", training.iloc[again])
        few._add_dataset("val", validation)
        return few

    def table(self, stage: Stage) -> pd.DataFrame:
        """The rows of a stage's photographs, by whose number (`index`) predictions are ordered."""
        return self._tables[stage]

    def dataset(self, stage: Stage) -> MelanomaDataset:
        """The photographs of a stage, by row of its table."""
        return self._datasets[stage]

    @cached_property
    def leaking_patients(self) -> dict[int, list[str]]:
        """By fold, the patients whom it validates and is trained on; none where folds are sound."""
        return leaking_patients(self._sources.train, self._sources.external)

    @cached_property
    def trained_on(self) -> Tensor:
        """The images of the training stage, as `hash_forms` numbers them, sorted: int64, shape (n,)."""
        forms = normal_form(self._tables["train"][IMAGE_NAME])
        return torch.from_numpy(np.sort(hash_forms(forms)))

    def state_dict(self) -> dict[str, Tensor]:
        """What every checkpoint keeps: which images were trained on, for whoever starts from it."""
        return {TRAINED_ON: self.trained_on}

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

    @cached_property
    def _sources(self) -> Sources:
        tables = self.data_dir, self.folds_csv, self.fold_column, self.external_csv
        return read_sources(*tables, self.prefer_suffix)

    @cached_property
    def _pixels(self) -> PixelCache | None:
        # Once for all stages: its name is made of every photograph's size and time of change.
        if self.cache is None:
            return None
        return open_cache(self.cache, self._sources.paths, self.image_size)

    @cached_property
    def _cache_rows(self) -> "pd.Series[int]":
        return pd.Series({str(path): row for row, path in enumerate(self._sources.paths)})

    def _check_fold(self) -> None:
        known = sorted(self._sources.train[FOLD].unique())
        if self.fold not in known:
            raise ConfigError(
                f"--fold {self.fold}: {self.folds_csv} has no such fold, but {name_some(known)}."
            )

    def _add_dataset(self, stage: Stage, rows: pd.DataFrame) -> None:
        table = rows.reset_index(drop=True)
        paths = table.pop(PATH)
        unknown = np.full(len(table), np.nan)
        targets = table[TARGET].to_numpy() if TARGET in table else unknown
        self._tables[stage] = table
        self._datasets[stage] = MelanomaDataset(
            paths.tolist(),
            targets.astype(np.float32),
            self.image_size,
            self.augmentation if stage == "train" else None,
            self.seed,
            self._diagnoses(table, stage),
            self._metadata(table),
            self._cached(paths),
        )

    def _diagnoses(self, table: pd.DataFrame, stage: Stage) -> npt.NDArray[np.int64] | None:
        if not self.with_diagnoses:
            return None
        if TARGET not in table or (stage == "test" and DIAGNOSIS not in table):
            return np.full(len(table), -1, dtype=np.int64)
        source = (test_csv if stage == "test" else train_csv)(self.data_dir)
        return diagnosis_classes(table, str(source))

    def _metadata(self, table: pd.DataFrame) -> npt.NDArray[np.float32] | None:
        statistics = self.metadata_statistics
        return None if statistics is None else statistics.transform(table)

    def _cached(self, paths: "pd.Series[str]") -> tuple[PixelCache, npt.NDArray[np.int64]] | None:
        if self._pixels is None:
            return None
        return self._pixels, self._cache_rows.loc[paths.tolist()].to_numpy().astype(np.int64)

    def _sampling_weights(self, stage: Stage) -> npt.NDArray[np.float64] | None:
        if stage != "train" or self.sampling == "uniform":
            return None
        targets = self._tables[stage][TARGET].to_numpy()
        of_class: npt.NDArray[np.float64] = 1 / np.bincount(targets, minlength=2)[targets]
        return of_class

    def _loader(self, stage: Stage) -> DataLoader[Batch]:
        return create_loader(
            self._datasets[stage],
            self.trainer,
            self.batch_size,
            self.num_workers,
            training=stage == "train",
            seed=self.seed,
            weights=self._sampling_weights(stage),
            fill_batches=self.fill_batches,
        )


def _checked_workers(num_workers: int | None, batch_size: int, image_size: int) -> int:
    if num_workers is None:
        return default_workers(batch_size, image_size)
    if num_workers < 0:
        raise ConfigError(f"--data.num_workers {num_workers}: must not be negative.")
    room = workers_with_room(batch_size, image_size)
    if num_workers > room:
        raise ConfigError(
            f"--data.num_workers {num_workers}: {SHARED_MEMORY} has room for the batches of {room} "
            f"({batch_size} photographs of {image_size} pixels each). Give --data.num_workers {room}, "
            "leave it out, or start the container with more (docker run --shm-size 2g)."
        )
    return num_workers
