import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import lightning.pytorch as pl
import pandas as pd
import pytest
import torch

from melanoma.errors import RunError
from melanoma.metrics import auc
from melanoma.models.module import MelanomaModule
from melanoma.run_folder import RunFolder
from melanoma.training.peers import peers_explained
from tiny_run import tiny_config, tiny_options

ROOT = Path(__file__).resolve().parents[2]
SCRIPT = str(ROOT / "scripts" / "train_folds.py")


def start(*command: str) -> "subprocess.Popen[str]":
    """A command in a session of its own, as a terminal starts it."""
    return subprocess.Popen(
        [sys.executable, *command], text=True, start_new_session=True,
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
    )  # fmt: skip


def train(competition: Path, folds_csv: Path, n_devices: int, *more: str) -> list[str]:
    devices = (f"--trainer.devices={n_devices}", "--trainer.strategy=ddp", "--data.batch_size=2")
    return [SCRIPT, *tiny_options(competition, folds_csv, *devices, "--photographs=0", *more)]


def ranks(session: int) -> dict[int, int]:
    """The processes of the fold in a session, by their rank."""
    found = {}
    for entry in Path("/proc").iterdir():
        try:
            is_ours = entry.name.isdigit() and os.getsid(int(entry.name)) == session
            command = (entry / "cmdline").read_bytes() if is_ours else b""
            variables = (entry / "environ").read_bytes().split(b"\0") if is_ours else []
        except OSError:
            continue
        if b"melanoma.training" in command and b"spawn" not in command:
            local = [v for v in variables if v.startswith(b"LOCAL_RANK=")]
            found[int(local[0].partition(b"=")[2]) if local else 0] = int(entry.name)
    return found


@pytest.mark.usefixtures("warm")
@pytest.mark.parametrize("n_devices", [2, pytest.param(3, marks=pytest.mark.long)])
def test_several_devices_score_and_predict_what_one_does(
    competition: Path, folds_csv: Path, n_devices: int
) -> None:
    # 19 validation images: some are evaluated twice, and must count once.
    process = start(*train(competition, folds_csv, n_devices, "--trainer.max_epochs=1"))
    log, _ = process.communicate()
    assert process.returncode == 0, log
    folder = RunFolder(folds_csv.parents[1] / "runs" / "tiny").fold(0)
    folds, oof = pd.read_csv(folds_csv), pd.read_csv(folder.oof_csv)
    assert oof["image_name"].tolist() == folds.loc[folds["fold"] == 0, "image_name"].tolist()
    during = pd.read_csv(folder.metrics_csv)["val_auc"].item()
    assert during == pytest.approx(auc(oof["target"], oof["prediction"]), abs=1e-6)
    # The same weights in one process.
    data = tiny_config(competition, folds_csv).data_module(0)
    data.setup()
    best = MelanomaModule.load_from_checkpoint(folder.best_checkpoint, weights_only=True).eval()
    with torch.no_grad():
        alone = torch.cat([best(batch["image"]) for batch in data.val_dataloader()])
    assert oof["prediction"].tolist() == pytest.approx(alone.squeeze().sigmoid().tolist(), abs=1e-5)


@pytest.mark.usefixtures("warm")
def test_several_devices_hold_the_backbone_still(competition: Path, folds_csv: Path) -> None:
    first = tiny_config(competition, folds_csv)
    pl.seed_everything(first.seed, workers=True, verbose=False)
    data = first.data_module(0)
    data.setup()
    begun = first.module(data).network.backbone.state_dict()
    for n_epochs, is_same in ((1, True), (2, False)):
        frozen = ("--model.freeze_epochs=1", f"--trainer.max_epochs={n_epochs}", "--overwrite")
        clipped = ("--trainer.gradient_clip_val=1", "--model.weight_decay=0.1")
        process = start(*train(competition, folds_csv, 2, *frozen, *clipped))
        log, _ = process.communicate()
        assert process.returncode == 0, log
        folder = RunFolder(folds_csv.parents[1] / "runs" / "tiny").fold(0)
        state = torch.load(folder.last_checkpoint, weights_only=True)["state_dict"]
        same = [torch.equal(state[f"network.backbone.{name}"], begun[name]) for name in begun]
        assert all(same) is is_same


@pytest.mark.long
@pytest.mark.parametrize("killed", [0, 1])
@pytest.mark.skipif(not Path("/proc").is_dir(), reason="finds processes in /proc")
def test_a_device_that_dies_ends_the_fold_which_goes_on(
    competition: Path, folds_csv: Path, killed: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PYTHONPATH", str(ROOT / "tests"))  # for the gate
    for name in ("test.csv", "sample_submission.csv"):  # predicting comes after what is tried here
        (competition / name).unlink()
    gate = folds_csv.with_name("open")
    held = ("--trainer.callbacks=gate.Gate", f"--trainer.callbacks.path={gate}")
    command = train(competition, folds_csv, 2, "--trainer.max_epochs=4", *held)
    folder = RunFolder(folds_csv.parents[1] / "runs" / "tiny").fold(0)
    process = start(*command)
    while not folder.last_checkpoint.is_file() and process.poll() is None:
        time.sleep(0.02)
    os.kill(ranks(process.pid)[killed], signal.SIGKILL)
    gate.touch()
    log, _ = process.communicate()
    assert process.returncode == 2, log
    assert "another of its 2 processes has died" in log
    assert "Traceback" not in log
    assert "the same command goes on" in log
    assert not ranks(process.pid)
    if killed:  # it goes on alike, whoever has died
        return
    again = start(*command)
    log, _ = again.communicate()
    assert again.returncode == 0, log
    assert "going on from" in log
    assert folder.is_done


@pytest.mark.long
def test_torchrun_and_the_like_start_a_process_per_device(
    competition: Path, folds_csv: Path
) -> None:
    torchrun = ("-m", "torch.distributed.run", "--nproc_per_node=2", "--standalone")
    command = train(competition, folds_csv, 2, "--trainer.max_epochs=1")
    process = start(*torchrun, *command, "--fold=0")
    log, _ = process.communicate()
    assert process.returncode == 0, log
    run = RunFolder(folds_csv.parents[1] / "runs" / "tiny")
    assert run.finished_folds() == [0]
    assert run.fold(0).is_predicted
    assert log.count(str(run.path) + "\n") == 1  # the first process alone reports


@pytest.mark.long
def test_machines_that_share_no_disk_are_told_before_training(
    competition: Path, folds_csv: Path
) -> None:
    # Each process gets a run folder of its own, as if each were on a machine of its own.
    torchrun = ("-m", "torch.distributed.run", "--nproc_per_node=2", "--standalone", "--no-python")
    runs = folds_csv.parents[1] / "runs"
    options = train(competition, folds_csv, 2, "--fold=0", f"--run_dir={runs}/$RANK")
    line = " ".join(["exec", sys.executable, *options])
    process = start(*torchrun, "sh", "-c", line)
    log, _ = process.communicate()
    assert process.returncode != 0
    # torchrun ends the others with the first that fails.
    assert f"does not see what its first process has written into {runs}" in log
    assert "give --run_dir a folder on it" in log
    assert log.count("Traceback") <= 1  # torchrun's own
    assert not RunFolder(runs / "0").fold(0).last_checkpoint.exists()
    assert not list((runs / "0" / ".locks").glob("seen_*"))


@pytest.mark.usefixtures("warm")
def test_torchrun_trains_one_fold_a_call(competition: Path, folds_csv: Path) -> None:
    environment = {**os.environ, "TORCHELASTIC_RUN_ID": "1"}
    done = subprocess.run(
        [sys.executable, *train(competition, folds_csv, 2), "--fold=all"],
        env=environment, capture_output=True, text=True,
    )  # fmt: skip
    assert done.returncode == 2
    assert "torchrun trains one fold a call" in done.stderr


@pytest.mark.parametrize(
    "text",
    [
        "[/gloo/transport/tcp/pair.cc:545] Read error [127.0.0.1]:1: Connection reset by peer. This is",
        "Timed out waiting 1800000ms for recv operation to complete",
    ],
)
def test_a_broken_connection_is_explained(text: str) -> None:
    with (
        pytest.raises(RunError, match=r"fold 1: another of its 2 processes has died .* The same"),
        peers_explained("fold 1", 2),
    ):
        raise RuntimeError(text)


def test_other_errors_are_left_as_they_are() -> None:
    with pytest.raises(RuntimeError, match="shapes differ"), peers_explained("fold 1", 2):
        raise RuntimeError("shapes differ")
    with pytest.raises(RuntimeError, match="Broken pipe"), peers_explained("fold 1", 1):
        raise RuntimeError("Broken pipe")
