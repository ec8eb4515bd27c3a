"""Folds over a cluster of Ray's own making: several of its nodes on this machine."""

import os
import re
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from melanoma.errors import ConfigError, RunError
from melanoma.folds.creation import create_folds
from melanoma.run_folder import RunFolder
from melanoma.sweeping.runs import read_runs
from melanoma.sweeping.sweep import sweep
from melanoma.training.cluster import launcher, machines
from melanoma.training.cluster.connection import import_ray
from melanoma.training.config import RunConfig
from melanoma.training.launch import train_folds
from melanoma.verification.comparison import compare_runs
from melanoma.verification.runs import verify_run
from tiny_run import tiny_config, tiny_options
from warm_python import WarmPython

pytestmark = pytest.mark.ray

# Two machines with a fold each show what a killed machine does to its fold, which waits for the other
# one; three with five folds (make test-ray-full) share out the rest as well.
IS_FULL = "MELANOMA_TEST_FULL" in os.environ
N_NODES, N_FOLDS = (3, 5) if IS_FULL else (2, 2)
EPOCHS = "--trainer.max_epochs=4"
TESTS = str(Path(__file__).resolve().parents[2])
SCRIPT = Path(__file__).resolve().parents[3] / "scripts" / "train_folds.py"


@pytest.fixture
def many_folds(competition: Path, tmp_path: Path) -> Path:
    train = pd.read_csv(competition / "train.csv")
    train["patient_id"] = train["image_name"]  # each fold needs a patient with a melanoma
    train.to_csv(competition / "train.csv", index=False)
    path = tmp_path / "folds" / "folds.csv"
    create_folds(competition, n_folds=N_FOLDS, output=path)
    return path


@pytest.fixture
def cluster(monkeypatch: pytest.MonkeyPatch, warm_python: WarmPython) -> Iterator[Any]:
    import_ray()
    from ray.cluster_utils import Cluster

    # The folds of these tests take all the cores there are, whatever else runs beside them.
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    monkeypatch.setenv("PYTHONPATH", TESTS)  # for the gate
    made = Cluster(initialize_head=True, head_node_args={"num_cpus": 1, "include_dashboard": False})
    for _ in range(N_NODES - 1):
        made.add_node(num_cpus=1)
    # What this process starts besides, such as the prediction, is not the subject; what its machines
    # start, they start with a Python of their own.
    monkeypatch.setattr(sys, "executable", str(warm_python.path))
    yield made
    made.shutdown()


def on_ray(cluster: Any, *more: str) -> list[str]:
    return ["--launcher=ray", f"--ray_address={cluster.address}", "--ray_cores=1", *more]


def gated(competition: Path, folds_csv: Path, *more: str) -> RunConfig:
    """A run of folds, each of which is held in the middle until the gate is open."""
    hold = ["--trainer.callbacks=gate.Gate", f"--trainer.callbacks.path={gate(folds_csv)}"]
    return tiny_config(competition, folds_csv, EPOCHS, "--fold=all", *hold, *more)


def gate(folds_csv: Path) -> Path:
    return folds_csv.parents[1] / "open"


@pytest.fixture(scope="module")
def here(tmp_path_factory: pytest.TempPathFactory) -> Callable[[Path, Path], Path]:
    """The same run by the local launcher, made once: every test has the same competition and folds."""
    run_dir = tmp_path_factory.mktemp("runs") / "here"

    def trained(competition: Path, folds_csv: Path) -> Path:
        if not run_dir.exists():
            config = gated(competition, folds_csv, f"--run_dir={run_dir}")
            assert train_folds(config) == run_dir
        return run_dir

    return trained


class NodeKiller(threading.Thread):
    """Ends one of the nodes as a machine does that loses its power; then lets other folds go on.

    Args:
        is_time: Whether to do it now.
        cluster: Of the nodes.
        folds_csv: Of the run, which waits at the gate.
    """

    def __init__(self, is_time: Callable[[], bool], cluster: Any, folds_csv: Path) -> None:
        super().__init__(daemon=True)
        self._is_time, self._cluster, self._gate = is_time, cluster, gate(folds_csv)
        self.n_folds: list[int] = []  # that were trained on each node then
        self.start()

    def run(self) -> None:
        until = time.monotonic() + 600
        while not self._is_time():
            if time.monotonic() > until:
                return
            time.sleep(0.02)
        running = {node: processes_of(node) for node in self._cluster.list_all_nodes()}
        self.n_folds = [sum("--fold" in text for text in of.values()) for of in running.values()]
        killed = next(iter(self._cluster.worker_nodes))
        self._cluster.remove_node(killed, allow_graceful=False)
        for number in running[killed]:  # they would go on for a second or so
            with suppress(ProcessLookupError):
                os.kill(number, signal.SIGKILL)
        self._gate.touch()


def processes_of(node: Any) -> dict[int, str]:
    """The command lines of what was started by a node of Ray, by the number of the process."""
    command = ["ps", "-A", "-ww", "-o", "pid=,ppid=,args="]
    lines = subprocess.run(command, check=True, capture_output=True, text=True).stdout.splitlines()
    table = [line.split(maxsplit=2) for line in lines]
    found, parents = {}, {str(info.process.pid) for info in node.all_processes["raylet"]}
    while parents:
        children = {pid: text for pid, parent, *text in table if parent in parents}
        found.update({int(pid): " ".join(text) for pid, text in children.items()})
        parents = set(children)
    return found


def n_begun(config: RunConfig) -> int:
    return len(list(config.run_dir.glob("fold_*/last.ckpt")))


def test_a_run_whose_node_was_killed_ends_as_one_made_here(
    competition: Path,
    many_folds: Path,
    cluster: Any,
    capfd: pytest.CaptureFixture[str],
    here: Callable[[Path, Path], Path],
) -> None:
    config = gated(competition, many_folds, *on_ray(cluster))
    killer = NodeKiller(lambda: n_begun(config) >= N_NODES, cluster, many_folds)
    assert train_folds(config) == config.run_dir
    killer.join()
    assert killer.n_folds == [1] * N_NODES
    printed = capfd.readouterr()
    at_once = f"Ray: {N_NODES} machine(s), {N_NODES} fold(s) at a time, 1 core(s) each"
    assert at_once in printed.out
    assert "begins again on" in printed.out
    assert "going on from" in printed.out
    assert "raylet" not in printed.out + printed.err
    assert verify_run(config.run_dir).is_fine
    compared = compare_runs(config.run_dir, here(competition, many_folds))
    assert compared.is_same, compared.as_text()
    assert len(compared.files) == 4 * N_FOLDS


def test_folds_that_travel_by_a_storage_come_home(
    competition: Path,
    many_folds: Path,
    cluster: Any,
    capfd: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    here: Callable[[Path, Path], Path],
) -> None:
    monkeypatch.setattr(launcher, "_KEEP_EVERY_S", 0.0)
    storage = f"--ray_storage=file://{tmp_path / 'storage'}"
    config = gated(competition, many_folds, *on_ray(cluster, storage))
    kept = (tmp_path / "storage" / config.run_dir.name).glob
    killer = NodeKiller(
        lambda: len({path.parent for path in kept("fold_*/man*")}) >= N_NODES, cluster, many_folds
    )
    assert train_folds(config) == config.run_dir
    killer.join()
    assert killer.n_folds == [1] * N_NODES
    printed = capfd.readouterr().out
    assert "begins again on" in printed
    assert "going on from" in printed
    assert verify_run(config.run_dir).is_fine
    compared = compare_runs(config.run_dir, here(competition, many_folds))
    assert compared.is_same, compared.as_text()
    # A call that was killed before it brought them home: the next one does.
    for fold in range(N_FOLDS):
        RunFolder(config.run_dir).fold(fold).clear()
    assert train_folds(config) == config.run_dir
    assert capfd.readouterr().out.count("is finished and skipped") == N_FOLDS


def test_what_goes_wrong_is_said_and_stopping_leaves_checkpoints(
    competition: Path,
    folds_csv: Path,
    cluster: Any,
    capfd: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:
    def config(*more: str) -> RunConfig:
        return tiny_config(competition, folds_csv, *on_ray(cluster, *more))

    with pytest.raises(ConfigError, match=r"a fold takes 64 core\(s\), and no machine .* has them"):
        train_folds(config("--ray_cores=64"))
    fails = config("--model.learning_rate=1e30")
    with pytest.raises(RunError, match=r"fold 0 stopped with exit code 2; the reason is above"):
        train_folds(fails)
    printed = capfd.readouterr()
    assert "fold 0: the loss is not a number from step 2 of epoch 1 on" in printed.err
    assert "begins again" not in printed.out
    with monkeypatch.context() as patched:
        # This call is quick to write its token, and the machines look for it elsewhere.
        patched.setattr(machines, "write_text", lambda path, _text: path)
        with pytest.raises(
            RunError, match=r"is not the run folder of this machine: its disk is no"
        ):
            train_folds(config())
    long = config("--trainer.max_epochs=5000", f"--run_dir={tmp_path / 'long'}", "--overwrite")
    threading.Thread(target=interrupt_when, args=(lambda: n_begun(long) > 0,), daemon=True).start()
    assert train_folds(long) is None
    printed = capfd.readouterr()
    assert "asked to end; the same command goes on" in printed.out  # by the fold's own process
    assert "0 of 1 folds finished, fold 0 is trained in part" in printed.out


def interrupt_when(is_time: Callable[[], bool]) -> None:
    while not is_time():
        time.sleep(0.05)
    os.kill(os.getpid(), 15)


@pytest.mark.skipif(not IS_FULL, reason="make test-ray-full sweeps over a cluster, too")
def test_a_sweep_over_a_cluster(
    competition: Path, folds_csv: Path, cluster: Any, tmp_path: Path
) -> None:
    recipes = [tmp_path / "a.yaml", tmp_path / "b.yaml"]
    for number, path in enumerate(recipes):
        path.write_text(f"model: {{dropout: 0.{number}}}\n")
    tiny = [o for o in tiny_options(competition, folds_csv) if "--run_dir" not in o]
    options = [*tiny, "--trainer.max_epochs=1", "--fold=all", *on_ray(cluster)]
    done = sweep(read_runs(recipes, [0], options, tmp_path / "runs"), tmp_path / "runs" / "sweep")
    done.check()
    assert done.built is not None
    assert done.as_text().endswith("submission.csv")


@pytest.fixture
def with_token(tmp_path: Path) -> Iterator[str]:
    """The address of a cluster that `ray start` has made where a token was."""
    home = tmp_path / "home"
    (home / ".ray").mkdir(parents=True)
    (home / ".ray" / "auth_token").write_text("0123456789abcdef" * 4)
    command = [sys.executable, "-m", "ray.scripts.scripts", "start", "--head", "--port=0"]
    command += ["--num-cpus=1", "--include-dashboard=false", "--disable-usage-stats", "--block"]
    environment = environment_of(home)
    with subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True) as server:
        assert server.stdout is not None
        # It says how another machine joins it, and so which port it has found.
        found = (re.search(r"--address='([^']+)'", line) for line in server.stdout)
        yield next(address[1] for address in found if address)
        server.terminate()


def environment_of(home: Path) -> dict[str, str]:
    own = {"HOME": str(home), "OMP_NUM_THREADS": "1"}
    return {name: text for name, text in os.environ.items() if "RAY_" not in name} | own


def train_at_home(
    home: Path, competition: Path, folds_csv: Path, *more: str
) -> "subprocess.CompletedProcess[str]":
    """An epoch over a cluster, by the script, of a user with this home folder."""
    options = tiny_options(competition, folds_csv, "--trainer.max_epochs=1", *more)
    command = [sys.executable, str(SCRIPT), *options, "--launcher=ray", "--ray-cores=1"]
    return subprocess.run(
        command, env=environment_of(home), capture_output=True, text=True, check=False
    )


def test_a_cluster_that_asks_for_a_token_gets_that_of_this_machine(
    competition: Path, folds_csv: Path, with_token: str, tmp_path: Path
) -> None:
    address = f"--ray-address={with_token}"
    none = train_at_home(tmp_path, competition, folds_csv, address)
    assert none.returncode == 2
    assert none.stderr.startswith(
        f"error: --ray_address {with_token}: the cluster asks for a token"
    )
    assert len(none.stderr.splitlines()) == 1
    done = train_at_home(tmp_path / "home", competition, folds_csv, address)
    assert done.returncode == 0, done.stderr
    assert "fold 0 begins on" in done.stdout


def test_a_cluster_of_one_call_leaves_nothing_in_the_home_folder(
    competition: Path, folds_csv: Path, tmp_path: Path
) -> None:
    (home := tmp_path / "home").mkdir()
    done = train_at_home(home, competition, folds_csv)
    assert done.returncode == 0, done.stderr
    assert not (home / ".ray").exists()
