from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from fake_ray import FakeRay, RayError, TaskCancelledError
from melanoma.errors import ConfigError, RunError
from melanoma.run_folder import RunFolder
from melanoma.training.cluster import launcher as module
from melanoma.training.cluster import machines, probe
from melanoma.training.cluster.launcher import RayLauncher, ray_launcher
from melanoma.training.cluster.needs import Needs
from melanoma.training.cluster.node import Work
from melanoma.training.cluster.storage import FoldStore
from melanoma.training.config import RunConfig
from melanoma.training.launch import train_folds
from melanoma.training.processes import STOPPED, WHOLE_MACHINE, Job, JobQueue
from tiny_run import tiny_config

NEEDS = Needs(1, 0, {"OMP_NUM_THREADS": "1"})


@pytest.fixture
def ray(monkeypatch: pytest.MonkeyPatch) -> FakeRay:
    fake = FakeRay([2])

    @contextmanager
    def connected(_address: str | None) -> Iterator[FakeRay]:
        yield fake

    monkeypatch.setattr(module, "connected", connected)
    return fake


@pytest.fixture
def config(competition: Path, folds_csv: Path) -> RunConfig:
    return tiny_config(competition, folds_csv, "--launcher=ray", "--ray_cores=1", "--fold=all")


def jobs(config: RunConfig, n: int = 2, **more: Any) -> JobQueue:
    run = RunFolder(config.run_dir)
    arguments = ["--config", "x", "--resume=true", "--fold", "0"]
    made = [Job(f"fold {k}", "x", arguments, folder=run.fold(k), **more) for k in range(n)]
    return JobQueue([made])


def test_a_call_trains_by_tasks(ray: FakeRay, config: RunConfig) -> None:
    trained: list[str] = []

    def outcome(work: Any) -> Any:
        if isinstance(work, probe.Expected):
            return probe.look(work)
        trained.append(work.job.name)
        return STOPPED

    ray.outcome = outcome
    assert train_folds(config) is None
    assert trained == ["fold 0", "fold 1"]


def test_tasks_know_what_they_need(ray: FakeRay, config: RunConfig) -> None:
    works: list[Work] = []

    def outcome(work: Work) -> int:
        works.append(work)
        return 0

    ray.outcome = outcome
    launcher = RayLauncher(ray, [config], NEEDS)
    assert launcher.side_by_side
    assert launcher.run(jobs(config, deadline=5.0)) == {"fold 0": 0, "fold 1": 0}
    assert works[0].environment == {"OMP_NUM_THREADS": "1", "MELANOMA_LOCK_WAIT_S": "120"}
    assert works[0].folder == Path.cwd()
    assert works[0].ends_at is not None
    assert works[0].job.deadline is None


def test_a_task_that_ray_has_lost_is_a_failure_and_one_that_was_stopped_is_none(
    ray: FakeRay, config: RunConfig, capsys: pytest.CaptureFixture[str]
) -> None:
    def lost(_work: Work) -> int:
        raise RayError("the node\n died")

    def stopped(_work: Work) -> int:
        raise TaskCancelledError

    launcher = RayLauncher(ray, [config], NEEDS)
    ray.outcome = lost
    assert launcher.run(jobs(config, 1)) == {"fold 0": 1}
    assert "error: fold 0: lost by Ray: the node died" in capsys.readouterr().err
    ray.outcome = stopped
    assert launcher.run(jobs(config, 1)) == {"fold 0": STOPPED}


def test_when_the_time_is_up_tasks_are_asked_to_end(
    ray: FakeRay, config: RunConfig, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "_GRACE_S", 0.0)
    ray.is_silent = True
    launcher = RayLauncher(ray, [config], NEEDS)
    assert launcher.run(jobs(config), deadline=0.0) == {"fold 0": STOPPED, "fold 1": STOPPED}
    assert len(ray.cancelled) == 4  # asked, then made to


def test_where_no_machine_is_left_the_call_ends(
    ray: FakeRay, config: RunConfig, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "_NO_MACHINE_S", 0.0)
    monkeypatch.setattr(module, "_LOOK_AT_MACHINES_S", 0.0)
    monkeypatch.setattr(module, "_GRACE_S", 0.0)
    launcher = RayLauncher(ray, [config], NEEDS)
    assert launcher._n_places() == 2
    ray.cores, ray.is_silent = [], True
    with pytest.raises(RunError, match=r"no machine is left that a fold fits on \(1 core\(s\)\)"):
        launcher.run(jobs(config))


def test_runs_that_need_different_machines_are_refused(
    ray: FakeRay, competition: Path, folds_csv: Path, config: RunConfig
) -> None:
    other = tiny_config(competition, folds_csv, "--launcher=ray", "--ray_cores=2")
    with (
        pytest.raises(
            ConfigError, match=r"these runs take 1 core\(s\) or 2 core\(s\). Give all the"
        ),
        ray_launcher([config, other], [WHOLE_MACHINE]),
    ):
        pass


def test_folds_that_were_left_in_the_storage_come_home(
    ray: FakeRay, competition: Path, folds_csv: Path, tmp_path: Path
) -> None:
    storage = f"--ray_storage=file://{tmp_path / 'storage'}"
    config = tiny_config(competition, folds_csv, "--launcher=ray", storage)
    run = RunFolder(config.run_dir)
    run.take(config.resolved, {}, replaceable=False)
    launcher = RayLauncher(ray, [config], NEEDS)
    begun = run.fold(0)
    begun.path.mkdir()
    begun.last_checkpoint.write_text("begun here")
    launcher.run(jobs(config, 1))
    store = launcher._store(Job("", "", [], folder=begun))
    assert isinstance(store, FoldStore)
    assert list(store.read()) == ["last.ckpt"]
    begun.last_checkpoint.unlink()
    launcher.fetch(run, [0, 1])
    assert begun.last_checkpoint.read_text() == "begun here"


def test_machines_that_do_not_answer_are_named(
    ray: FakeRay, config: RunConfig, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(machines, "_PROBE_S", 0.0)
    ray.is_silent = True
    with pytest.raises(RunError, match=r"no answer from box within 0 s. Look at its raylet.out"):
        train_folds(config)


def test_machines_that_lack_packages_are_told_what_to_install(
    ray: FakeRay, config: RunConfig
) -> None:
    def fails(_expected: object) -> None:
        raise RayError("No module named 'pandas'")

    ray.outcome = fails
    with pytest.raises(
        RunError, match=r"cannot run our code \(No module named 'pandas'\). Install"
    ):
        train_folds(config)
