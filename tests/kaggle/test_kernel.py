import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from unittest import mock

import pytest

from kaggle_rehearsal import ROOT
from melanoma.files import sha256_of, write_json, write_text
from melanoma.kaggle import kernel, work
from melanoma.kaggle.job import Job, Requirement
from melanoma.kaggle.steps import Session


class Started(Exception):  # noqa: N818 - no error: what would go on with the work
    def __init__(self, session: Session) -> None:
        self.session, self.environment = session, dict(os.environ)


def start(session: Session) -> None:
    raise Started(session)


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A kernel with the tables and a photograph of each half, and no accelerator."""
    monkeypatch.setenv("MELANOMA_KAGGLE_ROOT", str(tmp_path))
    monkeypatch.setenv("PATH", "")
    monkeypatch.setattr(tempfile, "gettempdir", lambda: str(tmp_path / "tmp"))
    monkeypatch.setattr(work, "do", start)
    monkeypatch.setattr(sys, "path", [*sys.path])
    (tmp_path / "working").mkdir()
    for name in ("train.csv", "test.csv", "sample_submission.csv", "train/a.jpg", "test/b.jpg"):
        write_text(tmp_path / "input" / "siim" / name, name)
    with mock.patch.dict(os.environ):
        yield tmp_path


def run(root: Path, job: Job) -> int:
    write_text(root / "bundle" / "job.json", job.as_json())
    return kernel.main([str(root / "bundle" / "job.json")])


def job(**changes: object) -> Job:
    settings = {"mode": "train", "run": "x", "competition": "siim", "accelerator": "cpu"}
    return Job(**{**settings, **changes})  # type: ignore[arg-type]


def test_what_is_found_is_said_and_handed_on(
    root: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_text(root / "input" / "weights" / "w.pth", "w")
    with pytest.raises(Started) as started:
        run(root, job(weights=("w.pth",), requirements=(Requirement("pip", "1", ">=1"),)))
    session = started.value.session
    assert session.data_dir == root / "input" / "siim"
    assert session.run_dir == root / "working" / "runs" / "x"
    assert sys.path[0] == started.value.environment["PYTHONPATH"].split(os.pathsep)[0]
    assert started.value.environment["MELANOMA_WEIGHTS"] == str(session.scratch / "weights")
    assert (session.scratch / "weights" / "w.pth").read_text() == "w"
    printed = capsys.readouterr().out
    for said in (
        "train x, fold 0, commit unknown",
        "machine: neither GPU nor TPU,",
        "wanted: cpu",
        "image: python 3.",
        f"GB in {root}/working",
        "time: 11 h 30 min in all",
        "attached: siim, weights",
        f"data: {root}/input/siim",
        f"weights w.pth: {root}/input/weights/w.pth",
        "pip      >=1",
    ):
        assert said in printed


def test_everything_that_is_missing_is_said_at_once(
    root: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (root / "input" / "siim" / "train.csv").unlink()
    code = run(
        root,
        job(
            accelerator="t4x2",
            resume=True,
            weights=("w.pth",),
            requirements=(Requirement("melanoma-probe", "1"),),
        ),
    )
    assert code == 2
    error = capsys.readouterr().err
    for said in (
        "this kernel is to run on GPU T4 x2",
        "no competition data",
        "no run x to go on with",
        "weights w.pth: no file of that name",
        "packages are missing, and there is no internet: melanoma-probe",
    ):
        assert error.count(said) == 1


def test_without_anything_attached(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (root / "input").rename(root / "elsewhere")
    assert run(root, job()) == 2
    assert "Attached: nothing" in capsys.readouterr().err


@pytest.mark.parametrize("mode", ["train", "predict"])
def test_the_tables_are_those_that_the_folds_were_made_of(root: Path, mode: str) -> None:
    for name in ("train.csv", "sample_submission.csv"):
        write_text(root / "input" / "later" / name, "later")
    sha256 = sha256_of(root / "input" / "later" / "train.csv")
    if mode == "train":
        write_json(root / "bundle" / "folds" / "folds.json", {"train_sha256": sha256})
        wanted = job(folds_csv="folds/folds.csv")
    else:
        write_json(root / "input" / "k" / "runs" / "x" / "tables.json", {"train.csv": sha256})
        write_text(root / "input" / "k" / "runs" / "x" / "config.yaml", "")
        wanted = job(mode="predict", runs=("me/k",))
    with pytest.raises(Started) as started:
        run(root, wanted)
    assert (started.value.session.data_dir / "train.csv").read_text() == "later"


def test_a_damaged_description_is_named(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_text(root / "bundle" / "folds" / "folds.json", "[]")
    assert run(root, job(folds_csv="folds/folds.csv")) == 2
    assert "folds.json: not readable as JSON" in capsys.readouterr().err


def test_the_address_of_a_single_process_is_taken_off_a_tpu(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TPU_PROCESS_ADDRESSES", "local")
    monkeypatch.setenv("ISTPUVM", "1")
    for accelerator, is_kept in (("cpu", True), ("tpu", False)):
        with pytest.raises(Started) as started:
            run(root, job(accelerator=accelerator))
        assert ("TPU_PROCESS_ADDRESSES" in started.value.environment) == is_kept
        assert started.value.environment["PYTHONUNBUFFERED"] == "1"


@pytest.mark.parametrize(
    ("module", "absent"),
    [
        ("kernel", ["numpy", "pandas", "yaml", "filelock", "PIL", "torch"]),
        ("work", ["torch", "lightning"]),
        ("outputs", ["torch", "lightning"]),
    ],
)
def test_what_runs_before_packages_are_there_needs_none(module: str, absent: list[str]) -> None:
    code = f"import sys, melanoma.kaggle.{module}; print([m for m in {absent} if m in sys.modules])"
    environment = {**os.environ, "PYTHONPATH": str(ROOT / "src")}
    printed = subprocess.run(
        [sys.executable, "-c", code], env=environment, capture_output=True, text=True
    )
    assert printed.stdout.strip() == "[]", printed.stderr
