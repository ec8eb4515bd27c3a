"""One pass over the test photographs for every fold and every view of a run."""

import time
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from melanoma.errors import ConfigError, RunError, name_some
from melanoma.files import sha256_of, write_json
from melanoma.images.prediction_datamodule import (
    PredictionDataModule,
    find_test_photographs,
    read_test_table,
)
from melanoma.prediction.memory import peak_memory_text
from melanoma.prediction.networks import load_ensemble
from melanoma.prediction.one_pass import choose_batch_size, create_trainer, device_for, predict
from melanoma.run_folder import TEST_PHOTOGRAPHS, TEST_SHA256, FoldFolder, RunFolder
from melanoma.run_locks import hold_folds
from melanoma.tables import IMAGE_NAME, test_csv
from melanoma.training.callbacks import PredictionTables
from melanoma.training.config import RunConfig, parse_config
from melanoma.training.inputs import fold_numbers
from melanoma.training.noise import silence_known_noise
from melanoma.training.record import hash_photographs


@dataclass(frozen=True)
class FoldPredictions:
    """What predicting the test photographs came to.

    Attributes:
        folds: Whose `test.csv` was written.
        n_photographs: How many were decoded, each once.
        n_views: How many symmetries of each were shown to each fold's network.
        batch_size: Photographs per step and device.
        seconds: Wall time of the pass.
        peak_memory: As text: of the GPU, or of this process and its largest worker.
    """

    folds: list[int]
    n_photographs: int
    n_views: int
    batch_size: int
    seconds: float
    peak_memory: str

    def as_text(self) -> str:
        """One line for the terminal."""
        return (
            f"{self.n_photographs} photographs x {len(self.folds)} folds x {self.n_views} views "
            f"in {self.seconds:.1f} s: {self.n_photographs / self.seconds:.1f} photographs/s, "
            f"{self.batch_size} per step, peak memory {self.peak_memory}"
        )


def predict_folds(
    run_dir: Path,
    data_dir: Path | None = None,
    fold: str = "all",
    overwrite: bool = False,
    batch_size: int | None = None,
    num_workers: int | None = None,
    accelerator: str | None = None,
    devices: str | None = None,
    precision: str | None = None,
    prefer_suffix: str | None = None,
) -> FoldPredictions | None:
    """Predict the test photographs with the best checkpoint of each fold, and write its test.csv.

    Every photograph is decoded once. Views, precision and devices are those of the run unless said
    otherwise. The checksum of each test.csv is added to its fold's done.json.

    Args:
        run_dir: The folder that scripts/train_folds.py wrote.
        data_dir: A folder with test.csv and its photographs; by default the run's.
        fold: Folds to predict with: 0, or 0,2, or all that are finished.
        overwrite: Replace the test.csv of folds that have one.
        batch_size: Photographs per step and device; by default as many as gain and fit.
        num_workers: Processes that read photographs; by default as in the run.
        accelerator: cpu, gpu, tpu or auto; by default the run's.
        devices: How many; by default the run's, or with another accelerator as many as there are.
        precision: Lightning's name of it, such as bf16-mixed; by default the run's.
        prefer_suffix: Which file is the photograph where an image name has several: .jpg, .jpeg or
            .png; by default the run's.

    Returns:
        What it came to; None if nothing was left to do, and on every device but the first.

    Raises:
        MelanomaError: If the run, its checkpoints, the test table or its photographs cannot be used.
    """
    run = RunFolder(run_dir)
    run.read_config()  # for its errors: what is no run folder has no settings to parse
    machine = {"accelerator": accelerator, "devices": devices, "precision": precision}
    config = _config(run, data_dir, prefer_suffix, num_workers, batch_size, machine)
    folder = Path(config.data["data_dir"])
    asked = _finished_folds(run, fold)
    table = read_test_table(folder)
    folds = asked if overwrite else _without_predictions(run, asked, test_csv(folder))
    if not folds:
        return None
    with hold_folds(run, folds, "predicted"):
        return _predict(run, config, folds, table, batch_size)


def _predict(
    run: RunFolder, config: RunConfig, folds: list[int], table: pd.DataFrame, batch_size: int | None
) -> FoldPredictions | None:
    folder = Path(config.data["data_dir"])
    silence_known_noise()
    paths = find_test_photographs(folder, table, config.data["prefer_suffix"])
    ensemble = load_ensemble([run.fold(number) for number in folds], table)
    rows = table[[IMAGE_NAME]]
    tables = PredictionTables([(run.fold(number).test_csv, rows) for number in folds])
    trainer = create_trainer(config, tables)
    size = batch_size or choose_batch_size(config, ensemble, trainer)
    data = PredictionDataModule(
        paths,
        config.data["image_size"],
        size,
        config.data["num_workers"],
        fill_batches=device_for(trainer).type == "xla",
    )
    started = time.monotonic()
    predict(trainer, ensemble, data)
    seconds = time.monotonic() - started
    if not trainer.is_global_zero:
        return None
    photographs = hash_photographs(paths)["names_and_sizes_sha256"]
    made_from = {TEST_SHA256: sha256_of(test_csv(folder)), TEST_PHOTOGRAPHS: photographs}
    for number in folds:
        _record(run.fold(number), made_from)
    peak = peak_memory_text(device_for(trainer), data.num_workers)
    return FoldPredictions(folds, len(paths), config.model["views"], size, seconds, peak)


def _config(
    run: RunFolder,
    data_dir: Path | None,
    prefer_suffix: str | None,
    num_workers: int | None,
    batch_size: int | None,
    machine: dict[str, str | None],
) -> RunConfig:
    for name, value, least in [("batch_size", batch_size, 1), ("num_workers", num_workers, 0)]:
        if value is not None and value < least:
            raise ConfigError(f"--{name} {value}: must be at least {least}.")
    settings: dict[str, object] = {
        "data.data_dir": data_dir,
        "data.prefer_suffix": prefer_suffix,
        "data.num_workers": num_workers,
        "data.batch_size": batch_size,
    }
    if machine["accelerator"] is not None:
        settings |= {"trainer.devices": "auto", "trainer.strategy": "auto"}
    settings |= {f"trainer.{name}": value for name, value in machine.items() if value is not None}
    given = [f"--{name}={value}" for name, value in settings.items() if value is not None]
    return parse_config(["--config", str(run.config_yaml), "--run_dir", str(run.path), *given])


def _finished_folds(run: RunFolder, text: str) -> list[int]:
    finished = run.finished_folds()
    if not finished:
        raise RunError(
            f"{run.path}: no fold is finished, so there is nothing to predict with. Train with "
            f"scripts/train_folds.py --config {run.config_yaml} --fold all."
        )
    folds = fold_numbers(text, finished)
    run.check_finished(folds)
    return folds


def _without_predictions(run: RunFolder, folds: list[int], table: Path) -> list[int]:
    kept = [fold for fold in folds if run.fold(fold).is_predicted]
    sha256 = sha256_of(table)
    others = [fold for fold in kept if run.fold(fold).read_done().get(TEST_SHA256) != sha256]
    if others:
        raise RunError(
            f"{run.path}: the test.csv of fold {name_some(others)} was predicted from another table "
            f"than {table}. Replace it with --overwrite, or give the folder it was predicted from "
            "as --data-dir."
        )
    if kept:
        print(
            f"fold {name_some(kept)}: test.csv is there and left as it is; --overwrite replaces it",
            flush=True,
        )
    return [fold for fold in folds if fold not in kept]


def _record(folder: FoldFolder, made_from: dict[str, str]) -> None:
    done = folder.read_done()
    files = {**done["files"], folder.test_csv.name: sha256_of(folder.test_csv)}
    write_json(folder.done_json, {**done, **made_from, "files": files})
