"""A tiny competition that every test can train on in a second or two."""

import os
import shutil
import signal
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import HealthCheck, settings
from PIL import Image

from own_home import move_in, move_out
from warm_python import WarmPython

HOME = move_in()
WARM = HOME / "warm"
IS_WORKER = "PYTEST_XDIST_WORKER" in os.environ

from melanoma.folds.creation import create_folds
from melanoma.tables import (
    AGE,
    BENIGN_MALIGNANT,
    DIAGNOSIS,
    IMAGE_NAME,
    PATIENT_ID,
    SEX,
    SITE,
    TARGET,
)

os.environ.setdefault("NO_ALBUMENTATIONS_UPDATE", "1")

# A shell has what it starts in the background ignore Ctrl-C, and whatever that starts in turn.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)

# How long an example takes depends on what else the machine does: no deadlines. In CI the examples are
# the same each time; elsewhere they are new ones.
settings.register_profile(
    "melanoma",
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow],
    derandomize="CI" in os.environ,
    database=None if "CI" in os.environ else settings().database,
)
settings.load_profile("melanoma")

N_TRAIN, N_TEST, N_PATIENTS = 40, 10, 12


HAS_WORKERS = pytest.StashKey[WarmPython]()


def pytest_sessionstart(session: pytest.Session) -> None:
    """The Python of all workers loads its packages while they collect the tests."""
    if not IS_WORKER and session.config.getoption("numprocesses", None):
        session.config.stash[HAS_WORKERS] = WarmPython(WARM)
        session.config.stash[HAS_WORKERS].start()


@pytest.hookimpl(trylast=True)
def pytest_sessionfinish(session: pytest.Session) -> None:
    """The suite fails where a test has written outside the clone and temporary folders."""
    if IS_WORKER:
        return
    if HAS_WORKERS in session.config.stash:
        session.config.stash[HAS_WORKERS].close()
    found = move_out(HOME)
    if found:
        print("\nwritten where no test may write:", *found, sep="\n  ")
        session.exitstatus = pytest.ExitCode.TESTS_FAILED


@pytest.fixture
def competition(tmp_path: Path, _tiny: Path) -> Path:
    """A competition folder of a test's own: tables to break, photographs to damage."""
    folder = tmp_path / "input" / "tiny"
    _copy_tree(_tiny, folder)
    return folder


@pytest.fixture
def folds_csv(tmp_path: Path, competition: Path, _tiny_folds: Path) -> Path:
    """Two folds of the tiny competition, of a test's own."""
    shutil.copytree(_tiny_folds, tmp_path / "folds")
    return tmp_path / "folds" / "folds.csv"


@pytest.fixture(scope="session")
def _tiny_folds(tmp_path_factory: pytest.TempPathFactory, _tiny: Path) -> Path:
    """Made once, since drawing their picture takes a second; they name checksums, and no folder."""
    folder = tmp_path_factory.mktemp("tiny_folds")
    create_folds(_tiny, n_folds=2, output=folder / "folds.csv")
    return folder


@pytest.fixture(scope="session")
def warm_python() -> Iterator[WarmPython]:
    """A Python with torch and Lightning loaded: tests/warm_python.py."""
    python = WarmPython(WARM)
    if IS_WORKER:  # all share one
        python.wait()
        yield python
        return
    python.start()
    python.wait()
    yield python
    python.close()


@pytest.fixture
def warm(warm_python: WarmPython, monkeypatch: pytest.MonkeyPatch) -> None:
    """Processes that this one starts, and theirs, need not import torch again."""
    monkeypatch.setattr(sys, "executable", str(warm_python.path))


@pytest.fixture(scope="session")
def _tiny(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("tiny")
    train = _table(N_TRAIN, "TRAIN")
    test = _table(N_TEST, "TEST").drop(columns=[DIAGNOSIS, BENIGN_MALIGNANT, TARGET])
    train.to_csv(folder / "train.csv", index=False)
    test.to_csv(folder / "test.csv", index=False)
    test[[IMAGE_NAME]].assign(target=0).to_csv(folder / "sample_submission.csv", index=False)
    random = np.random.default_rng(0)
    for split, table in [("train", train), ("test", test)]:
        (folder / "jpeg" / split).mkdir(parents=True)
        for row, name in enumerate(table[IMAGE_NAME]):
            _draw(folder / "jpeg" / split / f"{name}.jpg", row % 4 == 0, random)
    return folder


def _table(n_images: int, prefix: str) -> pd.DataFrame:
    rows = np.arange(n_images)
    melanoma = rows % 4 == 0
    return pd.DataFrame(
        {
            IMAGE_NAME: [f"{prefix}_{row:03d}" for row in rows],
            PATIENT_ID: [
                f"{prefix}_P{row % N_PATIENTS if row % 3 else row // 8:02d}" for row in rows
            ],
            SEX: np.where(rows % 2, "male", "female"),
            AGE: 30.0 + 5 * (rows % 9),
            SITE: np.where(rows % 5, "torso", "head/neck"),
            DIAGNOSIS: np.where(melanoma, "melanoma", "nevus"),
            BENIGN_MALIGNANT: np.where(melanoma, "malignant", "benign"),
            TARGET: melanoma.astype(int),
        }
    )


def _draw(path: Path, dark: bool, random: np.random.Generator) -> None:
    pixels = random.normal(90 if dark else 170, 30, (36, 48, 3)).clip(0, 255).astype(np.uint8)
    Image.fromarray(pixels).save(path, quality=90)


def _copy_tree(source: Path, target: Path) -> None:
    # Copies, not links: tests damage what they are given.
    for path in source.rglob("*"):
        if path.is_file():
            copy = target / path.relative_to(source)
            copy.parent.mkdir(parents=True, exist_ok=True)
            copy.write_bytes(path.read_bytes())
