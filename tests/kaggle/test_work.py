"""Whole kernels, in a folder that mimics Kaggle."""

import shutil
import signal
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pandas as pd
import pytest

from kaggle_rehearsal import NOTEBOOK, TINY, Ended, Kernel, has_namespaces
from melanoma.folds.creation import create_folds
from melanoma.images.workers import available_cores
from melanoma.kaggle.job import Job, Requirement
from melanoma.run_folder import RunFolder
from melanoma.verification.runs import verify_run
from tiny_wheel import wheel
from warm_python import WarmPython

pytestmark = [pytest.mark.long, pytest.mark.usefixtures("warm_here")]

Make = Callable[[str], Kernel]


def job(**changes: object) -> Job:
    settings = {
        "mode": "train", "run": "tiny", "config": "configs/demo.yaml", "overrides": TINY,
        "accelerator": "cpu", "competition": "siim", "time_budget": "1h",
    }  # fmt: skip
    return Job(**{**settings, **changes})  # type: ignore[arg-type]


@pytest.fixture(scope="module")
def warm_here(warm_python: WarmPython) -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "executable", str(warm_python.path))
        yield


@pytest.fixture(scope="module")
def make(tmp_path_factory: pytest.TempPathFactory, warm_here: None) -> Make:
    return lambda name: Kernel(tmp_path_factory.mktemp(name) / "kaggle")


@pytest.fixture(scope="module")
def tiny(_tiny: Path) -> Path:
    return _tiny


@pytest.fixture(scope="module")
def first(make: Make, tiny: Path) -> tuple[Kernel, Ended]:
    """A kernel that trains one of two folds, and installs a package."""
    kernel = make("first")
    kernel.attach(tiny, "siim")
    wheel(kernel.input / "wheels")
    create_folds(tiny, n_folds=2, output=kernel.bundle / "folds" / "folds.csv")
    probe = Requirement("melanoma-probe", "1.0")
    return kernel, kernel.run(job(folds_csv="folds/folds.csv", requirements=(probe,)))


@pytest.fixture(scope="module")
def second(make: Make, tiny: Path, first: tuple[Kernel, Ended]) -> tuple[Kernel, Ended]:
    """One that goes on from the first, in the other layout, with all folds."""
    kernel = make("second")
    kernel.attach(tiny, "competitions/siim")
    kernel.attach(first[0].working, f"{NOTEBOOK}/first")
    kernel.give_gpus("Tesla T4", "Tesla T4")
    # Two folds side by side need two cores, where there are no real GPUs.
    accelerator = "t4x2" if len(available_cores()) > 1 else "cpu"
    wanted = job(fold="all", accelerator=accelerator, resume=True, runs=("me/first",))
    return kernel, kernel.run(wanted)


def test_a_fold_is_trained_and_submitted(first: tuple[Kernel, Ended], tiny: Path) -> None:
    kernel, ended = first
    assert ended.code == 0, ended.log
    assert ended.last_line.endswith("submission.csv rests on fold 0 of 2.")
    form = pd.read_csv(tiny / "sample_submission.csv")
    submission = pd.read_csv(kernel.submission)
    assert submission["image_name"].tolist() == form["image_name"].tolist()
    assert submission["target"].between(0, 1).all()
    # Only outputs: the rest is elsewhere.
    assert {path.name for path in kernel.working.iterdir()} == {"folds", "runs", "submission.csv"}
    assert not list(kernel.working.rglob(".*"))
    assert (kernel.root / "tmp" / "melanoma_kernel" / "packages" / "melanoma_probe.py").exists()
    lines = [line for line in ended.log.splitlines() if line.startswith("$ python ")]
    assert [line.split()[2].rpartition("/")[2] for line in lines] == [
        *("-m", "train_folds.py", "build_submission.py")
    ]


def test_a_kernel_goes_on_from_what_another_has_left(
    first: tuple[Kernel, Ended], second: tuple[Kernel, Ended]
) -> None:
    kernel, ended = second
    assert ended.code == 0, ended.log
    assert "fold 0 is finished and skipped" in ended.log
    assert ended.last_line.endswith("submission.csv rests on fold 0, 1 of 2.")
    run = RunFolder(kernel.working / "runs" / "tiny")
    earlier = RunFolder(first[0].working / "runs" / "tiny")
    assert run.fold(0).oof_csv.read_bytes() == earlier.fold(0).oof_csv.read_bytes()
    assert ("--parallel_folds=2" in ended.log) == (len(available_cores()) > 1)
    assert verify_run(run.path).is_fine


def test_the_time_runs_out(make: Make, tiny: Path, first: tuple[Kernel, Ended]) -> None:
    kernel = make("short")
    kernel.attach(tiny, "siim")
    kernel.attach(first[0].working, "first")
    ended = kernel.run(job(fold="all", time_budget="20s"))
    assert ended.code == 0, ended.log
    assert ended.last_line.endswith(
        "submission.csv rests on fold 0 of 2. The time is up: fold 1 has not been begun. Push again "
        "with --resume to go on from there."
    )
    assert kernel.submission.is_file()


def test_no_time_at_all_leaves_the_folds(make: Make, tiny: Path) -> None:
    kernel = make("none")
    kernel.attach(tiny, "siim")
    ended = kernel.run(job(time_budget="1s"))
    assert ended.code == 0, ended.log
    assert ended.last_line.startswith(
        "no submission yet. The time is up: fold 0 has not been begun"
    )
    assert (kernel.working / "folds" / "folds.csv").is_file()


@pytest.mark.parametrize("n_rows", [7, 90])
def test_a_hidden_test_set_is_predicted_with_the_parts_of_a_run(
    make: Make, tiny: Path, first: tuple[Kernel, Ended], second: tuple[Kernel, Ended], n_rows: int
) -> None:
    """As a code competition does: the same kernel, on other rows than those it was tried with."""
    kernel = make(f"predict{n_rows}")
    data = kernel.attach(tiny, "siim")
    hide_test_set(data, n_rows)
    kernel.attach(first[0].working, "first")
    kernel.attach(second[0].working, f"{NOTEBOOK}/second")
    ended = kernel.run(job(mode="predict", fold="all", runs=("me/first", "me/second")))
    assert ended.code == 0, ended.log
    submission = pd.read_csv(kernel.submission)
    form = pd.read_csv(data / "sample_submission.csv")
    assert submission["image_name"].tolist() == form["image_name"].tolist()
    assert len(submission) == n_rows
    assert submission["target"].between(0, 1).all()
    assert not list(kernel.working.rglob("*.ckpt"))  # they are in the other kernels' output
    assert ended.last_line.endswith("submission.csv rests on fold 0, 1 of 2.")


def hide_test_set(data: Path, n_rows: int) -> None:
    """Put other photographs in place of those of the test set, under names of their own."""
    test = pd.read_csv(data / "test.csv")
    rows = test.iloc[[number % len(test) for number in range(n_rows)]].reset_index(drop=True)
    names = [f"HIDDEN_{number}" for number in range(n_rows)]
    for old, new in zip(rows["image_name"], names):
        shutil.copy(data / "jpeg/test" / f"{old}.jpg", data / "jpeg/test" / f"{new}.jpg")
    for old in test["image_name"]:
        (data / "jpeg/test" / f"{old}.jpg").unlink()
    rows.assign(image_name=names).to_csv(data / "test.csv", index=False)
    form = pd.DataFrame({"image_name": names[::-1], "target": 0})
    form.to_csv(data / "sample_submission.csv", index=False)


def test_blending_runs_of_several_kernels(
    make: Make, tiny: Path, second: tuple[Kernel, Ended], tmp_path: Path
) -> None:
    other = tmp_path / "other" / "runs" / "other"
    shutil.copytree(second[0].working / "runs" / "tiny", other)
    kernel = make("ensemble")
    data = kernel.attach(tiny, "siim")
    shutil.rmtree(data / "jpeg")  # no photograph is needed
    kernel.attach(second[0].working, "second")
    kernel.attach(tmp_path / "other", "datasets/me/other")
    runs = ("me/second", "me/other")
    ended = kernel.run(job(mode="ensemble", run="blend", method="rank", runs=runs))
    assert ended.code == 0, ended.log
    assert {path.name for path in kernel.working.rglob("*.csv")} >= {"oof.csv", "submission.csv"}
    assert not list(kernel.working.rglob("*.ckpt"))
    # Without its fold file a run cannot be read.
    shutil.rmtree(kernel.input / "second" / "folds")
    ended = kernel.run(job(mode="ensemble", run="blend", runs=runs))
    assert ended.code == 2
    assert "the fold file it was made with is not attached. Give it with --folds-csv" in ended.log


def test_a_step_that_fails_ends_the_kernel_with_its_code(make: Make, tiny: Path) -> None:
    kernel = make("wrong")
    kernel.attach(tiny, "siim")
    (kernel.input / "siim" / "train.csv").write_text("image_name,target\n")
    ended = kernel.run(job())
    assert ended.code == 2
    assert "train.csv: the table has a header but no rows" in ended.log
    assert "scripts/create_folds.py has failed with exit code 2; the reason is above" in ended.log
    for folds, message in [("first", r"--fold first: not understood"), ("0", "no test.csv there")]:
        assert message in predict_without_test_set(make(f"predict_{folds}"), tiny, folds).log


def predict_without_test_set(kernel: Kernel, tiny: Path, folds: str) -> Ended:
    data = kernel.attach(tiny, "siim")
    (data / "test.csv").unlink()
    create_folds(tiny, n_folds=2, output=kernel.bundle / "folds" / "folds.csv")
    run = kernel.input / "k" / "runs" / "tiny"
    run.mkdir(parents=True)
    for name in ("config.yaml", "tables.json"):
        (run / name).write_text("{}")
    return kernel.run(job(mode="predict", fold=folds, folds_csv="folds/folds.csv", runs=("me/k",)))


@pytest.mark.skipif(not has_namespaces(), reason="this machine lets no test mount a small disk")
def test_a_full_disk_is_said_before_anything_is_begun(make: Make, tiny: Path) -> None:
    kernel = make("full")
    kernel.attach(tiny, "siim")
    ended = kernel.run(job(), small_disk=True)
    assert ended.code == 2
    assert "working: 1.0 MB are free, 200.0 MB are the least to begin with" in ended.log


@pytest.mark.skipif(not has_namespaces(), reason="this machine lets no test mount anything")
def test_what_is_attached_is_read_only_in_these_tests(make: Make, tiny: Path) -> None:
    kernel = make("read_only")
    kernel.attach(tiny, "siim")
    (kernel.bundle / "configs").unlink()
    (kernel.bundle / "folds").rmdir()
    (kernel.bundle / "folds").symlink_to(kernel.input)  # nothing is written there
    assert kernel.run(job(config="none.yaml", time_budget="1s")).code != 0
    assert sorted(path.name for path in kernel.input.iterdir()) == ["siim"]


def test_being_asked_to_end_leaves_a_checkpoint(make: Make, tiny: Path) -> None:
    kernel = make("ended")
    kernel.attach(tiny, "siim")
    log = []
    with kernel.start(job(overrides=(*TINY, "--trainer.max_epochs=5000"))) as process:
        assert process.stdout is not None
        for line in process.stdout:
            log.append(line)
            if "epoch 2/" in line:
                process.send_signal(signal.SIGTERM)
    assert process.returncode == 143, "".join(log)
    assert RunFolder(kernel.working / "runs" / "tiny").fold(0).is_begun
    assert any("stopped: 0 of 1 folds finished, fold 0 is trained in part" in line for line in log)
    assert log[-1] == "interrupted\n"
