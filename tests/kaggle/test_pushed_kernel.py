"""From the command line to the results at home: what is pushed runs, and what it leaves comes back.

The client is the real one, Kaggle a stub on loopback, and the kernel the very text that was pushed.
"""

import os
import re
import shutil
import subprocess
from pathlib import Path

import pandas as pd
import pytest
import yaml

from kaggle_rehearsal import Kernel, has_namespaces
from kaggle_stub import Stub
from melanoma.kaggle.wheels import WheelOptions, build_wheels
from melanoma.run_folder import RunFolder

pytestmark = pytest.mark.usefixtures("warm")

SCRIPTS = Path(__file__).resolve().parents[2] / "scripts"
ID = "me/melanoma-tiny"
PUSH = (
    *("--config", "tiny.yaml", "--id", ID, "--competition", "siim"),
    *("--trainer.max_epochs", "1", "--", "--logger=csv"),
)
# Of an environment with the packages of Kaggle's image and nothing else: `make test-kernel`.
IMAGE = os.environ.get("MELANOMA_KAGGLE_PYTHON", "")
OFFLINE = ("--accelerator", "cpu", "--datasets", "me/wheels")
FOLLOW = (
    *("follow", "--id", ID, "--run-dir", "runs/tiny"),
    *("--data-dir", "input/tiny", "--folds-csv", "folds/folds.csv"),
)
RECIPE = {
    "data": {
        "data_dir": "input/tiny",
        "folds_csv": "folds/folds.csv",
        "image_size": 16,
        "batch_size": 4,
        "num_workers": 0,
    },
    "photographs": 0,
    "model": {"backbone": "test_resnet", "weights": "none"},
    "trainer": {"accelerator": "cpu", "precision": "32-true", "enable_model_summary": False},
}


def call(stub: Stub, script: str, *arguments: str) -> "subprocess.CompletedProcess[str]":
    return stub.call(SCRIPTS / f"{script}.py", *arguments)


@pytest.fixture
def home(stub: Stub, competition: Path, folds_csv: Path) -> Path:
    """The folder in which the script is called."""
    shutil.copytree(competition, stub.folder / "input" / "tiny")
    shutil.copytree(folds_csv.parent, stub.folder / "folds")
    (stub.folder / "tiny.yaml").write_text(yaml.safe_dump(RECIPE))
    stub.on("SaveKernel", {"versionNumber": 1, "url": "https://kaggle.test/1", "ref": ID})
    return stub.folder


@pytest.fixture
def kernel(tmp_path: Path) -> Kernel:
    return Kernel(tmp_path / "kaggle")


def pushed(stub: Stub, *more: str) -> str:
    done = call(stub, "push_kernel", *(more or ("--internet", "--accelerator", "cpu")), *PUSH)
    assert done.returncode == 0, done.stderr
    return str(stub.got("SaveKernel")[-1].json["text"])


def check_submission(kernel: Kernel, home: Path) -> None:
    form = pd.read_csv(home / "input" / "tiny" / "sample_submission.csv")
    submission = pd.read_csv(kernel.submission)
    assert submission["image_name"].tolist() == form["image_name"].tolist()
    assert submission["target"].between(0, 1).all()


def check_size_in_readme(text: str) -> None:
    readme = (SCRIPTS.parent / "README.md").read_text(encoding="utf-8")
    written = re.search(r"self-extracting script of about (\d+) kB", readme)
    assert written, "the size of a kernel is not in README.md"
    assert len(text) / 1000 == pytest.approx(int(written[1]), rel=0.1)


def test_a_kernel_is_pushed_runs_and_comes_home(stub: Stub, home: Path, kernel: Kernel) -> None:
    text = pushed(stub)
    check_size_in_readme(text)
    kernel.attach(home / "input" / "tiny", "competitions/siim")
    ended = kernel.run_text(text)
    assert ended.code == 0, ended.log
    check_submission(kernel, home)
    assert {path.name for path in kernel.working.iterdir()} == {"folds", "runs", "submission.csv"}

    stub.has_left(kernel.working)
    followed = call(stub, "push_kernel", *FOLLOW)
    assert followed.returncode == 0, followed.stderr
    run = RunFolder(home / "runs" / "tiny")
    assert run.finished_folds() == [0]
    assert run.read_config()["data"]["data_dir"] == "input/tiny"
    assert run.submission_csv.read_bytes() == kernel.submission.read_bytes()
    assert (run.path / "logs" / "melanoma-tiny.log").is_file()

    built = call(stub, "build_submission", "--run-dir", "runs/tiny", "--allow-missing-folds")
    assert built.returncode == 0, built.stderr
    assert run.submission_csv.read_bytes() == kernel.submission.read_bytes()

    stub.on("StartSubmissionUpload", {"token": "t", "createUrl": stub.signed("/up")})
    stub.on("/up", {})
    stub.on("CreateSubmission", {"message": "Successfully submitted", "ref": 1})
    stub.on("ListSubmissions", {"submissions": [{"ref": 1, "status": "COMPLETE"}]})
    handed_in = call(stub, "push_kernel", "submit", "--run-dir", "runs/tiny")
    assert handed_in.returncode == 0, handed_in.stderr
    assert stub.got("/up")[0].body == run.submission_csv.read_bytes()
    assert "AUC" in stub.got("CreateSubmission")[0].json["submissionDescription"]


def test_a_kernel_without_its_data_ends_with_a_message(
    stub: Stub, home: Path, kernel: Kernel
) -> None:
    ended = kernel.run_text(pushed(stub))
    assert ended.code == 2
    assert "error: " in ended.last_line
    assert "siim" in ended.log
    assert not list(kernel.working.iterdir())


@pytest.mark.long
def test_a_kernel_on_another_machine_ends_with_a_message(
    stub: Stub, home: Path, kernel: Kernel
) -> None:
    kernel.attach(home / "input" / "tiny", "competitions/siim")
    ended = kernel.run_text(pushed(stub, "--internet", "--accelerator", "t4x2"))
    assert ended.code == 2
    assert "--accelerator" in ended.last_line


@pytest.mark.long
def test_a_kernel_without_time_says_so(stub: Stub, home: Path, kernel: Kernel) -> None:
    kernel.attach(home / "input" / "tiny", "competitions/siim")
    ended = kernel.run_text(
        pushed(stub, "--internet", "--accelerator", "cpu", "--time-budget", "10s")
    )
    assert ended.code == 0, ended.log
    assert "--resume" in ended.last_line


@pytest.mark.long
@pytest.mark.skipif(not has_namespaces(), reason="mounting is not allowed here")
def test_a_kernel_without_disk_ends_with_a_message(stub: Stub, home: Path, kernel: Kernel) -> None:
    kernel.attach(home / "input" / "tiny", "competitions/siim")
    ended = kernel.run_text(pushed(stub), small_disk=True)
    assert ended.code == 2
    assert "error: " in ended.last_line


def test_a_refused_push_is_a_failure(stub: Stub, home: Path) -> None:
    stub.on("SaveKernel", {"error": "The kernel source must be less than 1 megabytes in size."})
    done = call(stub, "push_kernel", "--internet", *PUSH)
    assert done.returncode == 1
    assert "less than 1 megabytes" in done.stderr


def test_a_dry_run_asks_nothing_of_kaggle(stub: Stub, home: Path) -> None:
    done = call(stub, "push_kernel", "--dry-run", "--internet", *PUSH)
    assert (done.returncode, done.stderr) == (0, "")
    assert not stub.requests
    names = {path.name for path in (home / "build" / "kernel" / "melanoma-tiny").iterdir()}
    assert names == {"melanoma-tiny.py", "kernel-metadata.json"}


@pytest.mark.image
@pytest.mark.skipif(not IMAGE, reason="make test-kernel makes the environment")
def test_what_the_image_lacks_comes_from_a_dataset(
    stub: Stub, home: Path, kernel: Kernel, tmp_path: Path
) -> None:
    kernel.attach(home / "input" / "tiny", "competitions/siim")
    wheels = build_wheels(WheelOptions(id="me/wheels", output_dir=tmp_path / "wheels"))
    kernel.attach(wheels.folder, "datasets/me/wheels")
    ended = kernel.run_text(pushed(stub, *OFFLINE), python=IMAGE)
    assert ended.code == 0, ended.log
    check_submission(kernel, home)
    installed = {p.name for p in (kernel.root / "tmp" / "melanoma_kernel" / "packages").iterdir()}
    assert {"lightning", "jsonargparse"} <= installed
    assert not {"torch", "timm", "pandas", "numpy"} & installed


@pytest.mark.image
@pytest.mark.skipif(not IMAGE, reason="make test-kernel makes the environment")
def test_a_wheel_that_is_not_attached_is_named(stub: Stub, home: Path, kernel: Kernel) -> None:
    kernel.attach(home / "input" / "tiny", "competitions/siim")
    ended = kernel.run_text(pushed(stub, *OFFLINE), python=IMAGE)
    assert ended.code == 2
    assert "lightning" in ended.last_line
    assert "push_kernel.py wheels" in ended.last_line


def test_a_kernel_that_cannot_run_is_not_pushed(stub: Stub, home: Path) -> None:
    done = call(stub, "push_kernel", *PUSH)
    assert done.returncode == 2
    assert "--internet" in done.stderr
    assert "--datasets" in done.stderr
    assert not stub.requests
