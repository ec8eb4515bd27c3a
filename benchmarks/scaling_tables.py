"""Steps that read and write tables, each at any number of rows: see scaling.py."""

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from melanoma.files import write_json
from melanoma.run_folder import RunFolder
from melanoma.tables import INDEX_COLUMNS

N_FOLDS = 5
# As in SIIM-ISIC 2020.
IMAGES_PER_PATIENT, PREVALENCE = 16, 0.0176
N_TEST = 1000
PHOTOGRAPH_BYTES = 60_000
SITES = ["torso", "lower extremity", "upper extremity", "head/neck", "palms/soles", "oral/genital"]


def write_tables(folder: Path, n_rows: int) -> None:
    """Write train.csv, test.csv, sample_submission.csv, images.csv and the state of a mirror.

    A mirror needs no photographs to be set up: they would be fetched when they are read.
    """
    random = np.random.default_rng(0)
    n_patients = max(N_FOLDS, n_rows // IMAGES_PER_PATIENT)
    patients = np.sort((n_patients * random.random(n_rows) ** 1.5).astype(np.int64))
    target = (random.random(n_rows) < PREVALENCE).astype(np.int64)
    names = pd.Series(np.arange(n_rows)).map("ISIC_{:09d}".format)
    train = pd.DataFrame({"image_name": names})
    train["patient_id"] = pd.Series(patients).map("IP_{:08d}".format)
    train["sex"] = np.array(["male", "female"])[patients % 2]
    train["age_approx"] = 20.0 + 5 * (patients % 14)
    train["anatom_site_general_challenge"] = np.array(SITES)[
        random.integers(len(SITES), size=n_rows)
    ]
    train["diagnosis"] = np.where(target, "melanoma", "nevus")
    train["benign_malignant"] = np.where(target, "malignant", "benign")
    train["target"] = target
    train.to_csv(folder / "train.csv", index=False)
    test = train.head(N_TEST).iloc[:, :5].assign(image_name=lambda t: "TEST_" + t["image_name"])
    test.to_csv(folder / "test.csv", index=False)
    test[["image_name"]].assign(target=0).to_csv(folder / "sample_submission.csv", index=False)
    parts = [(names, "train"), (test["image_name"], "test")]
    index = pd.concat([_index_of(*part) for part in parts], ignore_index=True)
    index.to_csv(folder / "images.csv", index=False)
    state = {"address": "file:///nowhere", "most_bytes": 10**9, "tables": {}}
    write_json(folder / "mirror.json", state)


def write_run(folder: Path) -> None:
    """Write what five finished folds leave, for `build`."""
    random = np.random.default_rng(1)
    train = pd.read_csv(folder / "train.csv", usecols=["image_name", "patient_id", "target"])
    train = train.merge(pd.read_csv(folder / "folds.csv", usecols=["image_name", "fold"]))
    test = pd.read_csv(folder / "test.csv", usecols=["image_name"])
    run = RunFolder(folder / "run")
    run.path.mkdir()
    data = {"data_dir": str(folder), "folds_csv": str(folder / "folds.csv")}
    run.config_yaml.write_text(json.dumps({"data": data}))
    train["prediction"] = (random.random(len(train)) ** 3 * (0.5 + train["target"] / 2)).astype(
        "f4"
    )
    for fold in range(N_FOLDS):
        run.fold(fold).path.mkdir()
        rows = train[train["fold"] == fold]
        columns = ["image_name", "patient_id", "fold", "target", "prediction"]
        rows[columns].to_csv(run.fold(fold).oof_csv, index=False)
        test.assign(prediction=0.5).to_csv(run.fold(fold).test_csv, index=False)
        run.fold(fold).done_json.write_text("{}")


def read_train(folder: Path) -> None:
    """Read and check train.csv."""
    from melanoma.tables import read_train

    read_train(folder)


def make_folds(folder: Path) -> None:
    """What create_folds.py does: balanced folds, the file, its description and its picture."""
    from melanoma.folds.creation import create_folds

    create_folds(folder, n_folds=N_FOLDS, output=folder / "folds.csv")


def read_index(folder: Path) -> None:
    """Read images.csv."""
    from melanoma.images.index import confirmed_hashes

    confirmed_hashes(folder, [])


def list_mirror(folder: Path) -> None:
    """Make the listing of a mirror from images.csv."""
    import melanoma.remote.listing as listing
    from melanoma.remote.mirror import mirror_at

    listing._check_samples = lambda *_: None  # nothing is behind this address
    mirror = mirror_at(folder)
    if mirror:
        mirror.listing()


def set_up(folder: Path) -> dict[str, Any]:
    """Check and set up the data module, its photographs behind an address; bytes a row holds."""
    return _set_up(folder)


def set_up_here(folder: Path) -> dict[str, Any]:
    """The same with every photograph in a folder: links, which images.csv confirms."""
    (folder / "mirror.json").rename(folder / "mirror.aside")
    try:
        return _set_up(folder)
    finally:
        (folder / "mirror.aside").rename(folder / "mirror.json")


def build(folder: Path) -> None:
    """What build_submission.py does with one run: the mean, intervals, all checks."""
    from melanoma.ensemble.submission import build_submission

    build_submission([folder / "run"], overwrite=True)


STEPS: dict[str, Callable[[Path], dict[str, Any] | None]] = {
    "read train.csv": read_train,
    "create_folds": make_folds,
    "read images.csv": read_index,
    "list (address)": list_mirror,
    "set up (address)": set_up,
    "set up (folder)": set_up_here,
    "build_submission": build,
}


def link_photographs(folder: Path) -> None:
    """Make a link per photograph to a file of as many bytes as images.csv says."""
    source = folder / "photograph.bin"
    source.write_bytes(bytes(PHOTOGRAPH_BYTES))
    table = pd.read_csv(folder / "images.csv", usecols=["image_name", "split"])
    for split, names in table.groupby("split")["image_name"]:
        (folder / "jpeg" / str(split)).mkdir(parents=True, exist_ok=True)
        for name in names:
            os.symlink(source, folder / "jpeg" / str(split) / f"{name}.jpg")


def _index_of(names: "pd.Series[str]", split: str) -> pd.DataFrame:
    hashes = pd.Series(np.arange(len(names))).map("{:064x}".format).to_numpy()
    known = [6000, 4000, PHOTOGRAPH_BYTES]
    rows = pd.DataFrame({"image_name": names.to_numpy(), "split": split, "phash": hashes})
    return rows.assign(**dict(zip(["width", "height", "bytes"], known)))[INDEX_COLUMNS]


def _set_up(folder: Path) -> dict[str, Any]:
    from melanoma.images.datamodule import MelanomaDataModule

    data = MelanomaDataModule(str(folder), str(folder / "folds.csv"))
    data.prepare_data()
    data.setup()
    dataset, table = data.dataset("train"), data.table("train")
    held = dataset.paths.nbytes + dataset.targets.nbytes
    return {
        "worker_bytes": round(held / len(dataset)),
        "table_bytes": round(float(table.memory_usage(deep=True).sum()) / len(table)),
    }
