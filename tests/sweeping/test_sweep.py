import json
from collections.abc import Callable, Iterator
from pathlib import Path

import pandas as pd
import pytest

from melanoma.ensemble.submission import Submission
from melanoma.errors import ConfigError, MelanomaError, RunError
from melanoma.run_folder import RunFolder
from melanoma.sweeping import blend as blend_module
from melanoma.sweeping import sweep as module
from melanoma.sweeping.blend import MARK
from melanoma.sweeping.runs import read_runs, share_of
from melanoma.sweeping.sweep import sweep
from melanoma.training import launch
from melanoma.training.processes import Job, JobQueue, Share
from tiny_run import tiny_options

pytestmark = pytest.mark.usefixtures("warm")

Recipes = list[Path]


@pytest.fixture
def recipes(tmp_path: Path) -> Recipes:
    paths = [tmp_path / "configs" / f"{name}.yaml" for name in ("a", "b")]
    paths[0].parent.mkdir()
    paths[0].write_text("model: {dropout: 0.0}\n")
    paths[1].write_text("model: {dropout: 0.1}\n")
    return paths


@pytest.fixture
def options(competition: Path, folds_csv: Path) -> list[str]:
    more = ("--trainer.max_epochs=1", "--photographs=0", "--logger=csv")
    return [o for o in tiny_options(competition, folds_csv, *more) if "--run_dir" not in o]


@pytest.fixture
def taken(monkeypatch: pytest.MonkeyPatch) -> Callable[[dict[str, int]], list[str]]:
    """The names of the jobs, whose processes are replaced; those with a code given fail."""
    names: list[str] = []

    def with_codes(codes: dict[str, int]) -> list[str]:
        def run(
            jobs: JobQueue, _shares: list[Share], _deadline: float | None = None
        ) -> dict[str, int]:
            for job in JobQueue.of(jobs):
                names.append(job.name)
                code = codes.get(job.name, 0)
                if code == 0 and job.folder is not None:
                    job.folder.path.mkdir(parents=True, exist_ok=True)
                    job.folder.done_json.write_text('{"files": {"test.csv": ""}}')
                    job.folder.test_csv.touch()
                if isinstance(jobs, JobQueue):
                    jobs.ended(job, code)
            return jobs.codes if isinstance(jobs, JobQueue) else {job.name: 0 for job in jobs}

        monkeypatch.setattr(launch, "run_processes", run)
        return names

    return with_codes


@pytest.fixture
def blended(monkeypatch: pytest.MonkeyPatch) -> list[list[str]]:
    blends: list[list[str]] = []

    def build(run_dir: list[Path], **_options: object) -> Submission | None:
        blends.append([path.name for path in run_dir])
        return None

    monkeypatch.setattr(blend_module, "build_submission", build)
    return blends


def test_every_configuration_and_seed_is_a_run_and_ends_in_one_blend(
    recipes: Recipes, options: list[str], tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    options = [*options, "--fold=all"]
    every = read_runs(recipes, [1, 2], options, tmp_path / "runs")
    assert [run.title for run in every] == ["a-seed1", "b-seed1", "a-seed2", "b-seed2"]
    runs = every[::2]
    done = sweep(runs, tmp_path / "runs" / "sweep")
    done.check()
    printed = capfd.readouterr().out
    assert "[a-seed1] fold 0: AUC" in printed
    assert "[a-seed2] fold 1: AUC" in printed
    assert "2 repeats of one recipe (a-seed1, a-seed2)" in done.as_text()
    assert done.as_text().endswith("submission.csv")
    assert [RunFolder(run.config.run_dir).finished_folds() for run in runs] == [[0, 1], [0, 1]]
    again = sweep(runs, tmp_path / "runs" / "sweep")
    assert "a-seed1, fold 0 is finished and skipped" in capfd.readouterr().out
    assert again.as_text() == done.as_text()
    assert (tmp_path / "runs" / "sweep" / MARK).is_file()


def test_a_run_that_fails_is_named_and_loses_no_other(
    recipes: Recipes,
    options: list[str],
    tmp_path: Path,
    taken: Callable[[dict[str, int]], list[str]],
    blended: list[list[str]],
) -> None:
    names = taken({"a-seed0, fold 0": 2})
    runs = read_runs(recipes, [0, 1], [*options, "--fold=all"], tmp_path / "runs")
    done = sweep(runs, tmp_path / "runs" / "sweep")
    assert names[:2] == ["a-seed0, fold 0", "b-seed0, fold 0"]
    assert "a-seed0, fold 1" not in names
    assert blended == [["b-seed0", "a-seed1", "b-seed1"]]
    with pytest.raises(
        RunError, match=r"1 run\(s\) of the sweep failed. a-seed0: .* exit code 2; the reason"
    ):
        done.check()


def test_a_run_without_room_is_named_and_loses_no_other(
    recipes: Recipes,
    options: list[str],
    tmp_path: Path,
    taken: Callable[[dict[str, int]], list[str]],
    blended: list[list[str]],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def jobs(config: object, run: RunFolder, *others: object) -> Iterator[Job]:
        if run.path.name == "a-seed0":
            raise RunError("no room")
        yield Job("b-seed0, fold 0", "x", [], folder=run.fold(0))

    taken({})
    monkeypatch.setattr(module, "jobs_of", jobs)
    done = sweep(read_runs(recipes, [0], [*options, "--fold=0"], tmp_path), tmp_path / "sweep")
    assert done.failed == {"a-seed0": "no room"}
    assert blended == [["b-seed0"]]


def test_what_a_stopped_sweep_has_left_is_said(
    recipes: Recipes, options: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupted(*_arguments: object) -> dict[str, int]:
        raise KeyboardInterrupt

    monkeypatch.setattr(launch, "run_processes", interrupted)
    done = sweep(read_runs(recipes[:1], [0], options, tmp_path), tmp_path / "sweep")
    assert "a-seed0: 0 of 1 folds finished, fold 0 has not been begun" in done.as_text()
    assert "the same command goes on" in done.as_text()


@pytest.mark.parametrize(
    ("seeds", "more", "message"),
    [
        ([0, 0], [], r"--seeds 0, 0: twice the same name"),
        ([0], ["--find_lr"], r"--find_lr and --find_batch_size are of one recipe"),
        ([0], ["--fold=7"], r"has no fold 7"),
        ([-1], [], r"--seed -1: must not be negative"),
    ],
)
def test_sweeps_that_cannot_work_end_before_training(
    recipes: Recipes,
    options: list[str],
    tmp_path: Path,
    seeds: list[int],
    more: list[str],
    message: str,
) -> None:
    with pytest.raises(ConfigError, match=message):
        read_runs(recipes, seeds, [*options, *more], tmp_path)
    assert not list(tmp_path.glob("*-seed*"))


def test_two_recipes_of_one_name_are_refused(
    recipes: Recipes, options: list[str], tmp_path: Path
) -> None:
    with pytest.raises(ConfigError, match=r"--config a: twice the same name, but a run is named"):
        read_runs([recipes[0], tmp_path / "others" / "a.yaml"], [0], options, tmp_path)


def test_runs_that_divide_the_machine_differently_are_refused(
    recipes: Recipes, options: list[str], tmp_path: Path
) -> None:
    recipes[1].write_text("trainer: {devices: 2}\n")
    runs = read_runs(recipes, [0], [*options, "--fold=all"], tmp_path)
    if len(share_of(runs[:1])) < 2:
        pytest.skip("needs two cores")
    with pytest.raises(ConfigError, match=r"a-seed0 and b-seed0 would divide this machine diff"):
        share_of(runs)


@pytest.mark.parametrize(
    ("fold", "method", "message"),
    [
        ("0", "weighted", r"weighted: fitted on all folds but one .*which takes two folds or more"),
        ("0", "best", r"fitted on all folds but one"),
        ("all", "mean", r"b-seed0: fold of TRAIN_.* is another than in .*a-seed0"),
    ],
)
def test_a_blend_that_cannot_be_made_is_refused_before_training(
    recipes: Recipes, options: list[str], tmp_path: Path, fold: str, method: str, message: str
) -> None:
    if fold == "all":
        (given,) = (o.partition("=")[2] for o in options if o.startswith("--data.folds_csv"))
        folds = pd.read_csv(given)
        folds.assign(fold=1 - folds["fold"]).to_csv(tmp_path / "others.csv", index=False)
        recipes[1].write_text(f"data: {{folds_csv: {tmp_path / 'others.csv'}}}\n")
        recipes[0].write_text(f"data: {{folds_csv: {given}}}\n")
        options = [o for o in options if not o.startswith("--data.folds_csv")]
    runs = read_runs(recipes, [0], [*options, f"--fold={fold}"], tmp_path / "runs")
    with pytest.raises(MelanomaError, match=message):
        sweep(runs, tmp_path / "runs" / "sweep", method)  # type: ignore[arg-type]
    assert not (tmp_path / "runs").exists()


def test_another_blend_in_the_way_is_found_before_training(
    recipes: Recipes, options: list[str], tmp_path: Path
) -> None:
    there = {"method": "rank", "run_dir": ["runs/x"], "oof": [], "submissions": []}
    description = tmp_path / "runs" / "sweep" / "submission.json"
    description.parent.mkdir(parents=True)
    description.write_text(json.dumps({"options": there, "outputs": {}}))
    runs = read_runs(recipes, [0], options, tmp_path / "runs")
    with pytest.raises(ConfigError, match=r"submission.json describes another blend: rank of"):
        sweep(runs, tmp_path / "runs" / "sweep")
    assert [path.name for path in (tmp_path / "runs").iterdir()] == ["sweep"]
