"""Every command of the README and of docs/, as it is written, in one folder: `make test-docs`."""

import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pandas as pd
import pytest

from documented import README, ROOT, executed, made_tiny, pages
from kaggle_stub import Answer, Stub, stub_in
from melanoma.kaggle.job import ACCELERATORS
from melanoma.kaggle.packages import packages_to_bring
from tiny_wheel import wheel
from warm_python import WarmPython

pytestmark = [
    pytest.mark.docs,
    pytest.mark.usefixtures("warm"),
]

REFERENCE_DATA = "siim-isic-melanoma-classification"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory, _tiny: Path) -> Path:
    """Where a reader stands: scripts, recipes, and the data that a page takes for granted."""
    here = tmp_path_factory.mktemp("docs")
    for name in ("configs", "scripts"):
        (here / name).symlink_to(ROOT / name)
    competition = here / "input" / REFERENCE_DATA
    shutil.copytree(_tiny, competition)
    train = pd.read_csv(competition / "train.csv")
    train["patient_id"] = train["image_name"]  # five folds need five patients with a melanoma
    train.to_csv(competition / "train.csv", index=False)
    own = here / "input" / "own"
    shutil.copytree(competition, own, ignore=shutil.ignore_patterns("t*.csv", "sample*.csv"))
    train[["image_name", "target"]].to_csv(own / "train.csv", index=False)
    _write_archive(competition, here / "input" / "archive")
    return here


def _write_archive(competition: Path, archive: Path) -> None:
    """Data of another year: other names, other patients."""
    train = pd.read_csv(competition / "train.csv").head(12)
    (archive / "train").mkdir(parents=True)
    for name in train["image_name"]:
        shutil.copy(
            competition / "jpeg/train" / f"{name}.jpg", archive / "train" / f"OLD_{name}.jpg"
        )
    names = "OLD_" + train["image_name"]
    train.assign(image_name=names, patient_id=names).to_csv(archive / "train.csv", index=False)


def provide(folder: Path) -> None:
    """Runs that pages speak of as somebody's: copies of those that are there by now."""
    runs = folder / "runs"
    copies = [("baseline", "b0"), ("baseline", "b4"), ("baseline", "convnext")]
    for source, name in [*copies, ("demo", "archive"), ("demo", "theirs")]:
        if (runs / source / "fold_4" / "test.csv").is_file() and not (runs / name).exists():
            shutil.copytree(runs / source, runs / name)
            if name == "archive":  # of other images
                (runs / name / "tables.json").write_text('{"train.csv": "another"}')


@pytest.fixture(scope="module")
def kaggle(tmp_path_factory: pytest.TempPathFactory, warm_python: WarmPython) -> Iterator[Stub]:
    """Kaggle, which takes what it is sent; wheels are made of what is in a folder."""
    here = tmp_path_factory.mktemp("kaggle")
    with stub_in(here, warm_python) as stub:
        stub.on("SaveKernel", {"versionNumber": 1, "url": "https://www.kaggle.com/code/me/x"})
        stub.on("StartSubmissionUpload", {"token": "t", "createUrl": stub.signed("/up")})
        stub.on("StartBlobUpload", {"token": "t", "createUrl": stub.signed("/up")})
        stub.on("/up", {})
        for kind in ("CreateSubmission", "CreateCodeSubmission"):
            stub.on(kind, {"message": "Successfully submitted", "ref": 1})
        stub.on("ListSubmissions", {"submissions": [{"ref": 1, "status": "COMPLETE"}]})
        stub.on("CreateDataset", {"status": "ok", "url": "https://www.kaggle.com/datasets/me/x"})
        stub.on("GetDataset", {"currentVersionNumber": 1})
        none = Answer({"code": 404, "message": "not found"}, 404)
        stub.on("GetDatasetStatus", none, none, {"status": "READY"})
        for needed in packages_to_bring(ACCELERATORS):
            wheel(here / "wheels", needed.version, name=needed.name)
        stub.environment |= {"PIP_NO_INDEX": "1", "PIP_FIND_LINKS": str(here / "wheels")}
        yield stub


@pytest.mark.parametrize("page", pages(), ids=lambda page: str(page.relative_to(ROOT)))
def test_the_commands_of_a_page(page: Path, folder: Path, kaggle: Stub) -> None:
    commands = executed(page)
    for command in commands:
        provide(folder)
        done = run(made_tiny(command), folder, kaggle)
        assert done.returncode == 0, f"{' '.join(command)}\n{done.stderr}"
        check(folder, command, done.stdout)
    if page == README:
        assert len(pd.read_csv(folder / "runs/baseline/submission.csv")) == 10
        assert (folder / "runs/b3/fold_2/done.json").is_file()


def run(command: list[str], folder: Path, kaggle: Stub) -> "subprocess.CompletedProcess[str]":
    if not command[0].endswith("push_kernel.py"):
        return subprocess.run(
            [sys.executable, *command], cwd=folder, capture_output=True, text=True
        )
    left = kaggle.folder / "left"
    shutil.rmtree(left, ignore_errors=True)
    shutil.copytree(folder / "runs" / "baseline", left / "runs" / "baseline")
    shutil.copytree(folder / "folds", left / "folds")
    kaggle.has_left(left)
    return kaggle.call(ROOT / command[0], *command[1:], cwd=folder)


def check(folder: Path, command: list[str], printed: str) -> None:
    """The last line names what was made."""
    if command[0].endswith(("build_submission.py", "show_batch.py")):
        assert (folder / printed.splitlines()[-1]).is_file(), command
    if command[0].endswith("report.py") and "--text" not in command:
        assert re.search(r"report\.html$|both\.html$", printed.strip()), command
        assert (folder / printed.splitlines()[-1]).is_file(), command


def test_what_the_tutorial_promises(folder: Path) -> None:
    assert len(pd.read_csv(folder / "runs/demo/submission.csv")) == 10
    compared = pd.read_csv(folder / "runs/blend/comparisons.csv")
    assert {"demo", "demo-medium", "mean"} <= {*compared["first"], *compared["second"]}
    assert (folder / "runs/demo/report.html").is_file()
