"""The ready notebook: its form, and its cells run one after the other in a folder like Kaggle's."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from melanoma.errors import ConfigError, RunError
from melanoma.kaggle.job import Job, parse_job, project_root
from melanoma.kaggle.notebook import run_job, write_job

NOTEBOOK = project_root() / "kaggle_kernel" / "notebook.ipynb"
STUB = 'import sys\nprint("the job runs", sys.argv[1], flush=True)\nsys.exit({code})\n'


def content() -> dict[str, Any]:
    read: dict[str, Any] = json.loads(NOTEBOOK.read_text(encoding="utf-8"))
    return read


def cells() -> list[str]:
    return ["".join(c["source"]) for c in content()["cells"] if c["cell_type"] == "code"]


def test_it_has_what_kaggle_asks_of_a_notebook() -> None:
    notebook = content()
    assert (notebook["nbformat"], notebook["nbformat_minor"]) == (4, 5)
    assert notebook["metadata"]["kernelspec"]["name"] == "python3"
    assert len({cell["id"] for cell in notebook["cells"]}) == len(notebook["cells"])
    for cell in notebook["cells"]:
        keys = {"cell_type", "id", "metadata", "source"}
        if cell["cell_type"] == "code":
            assert (cell["outputs"], cell["execution_count"]) == ([], None)
            keys |= {"outputs", "execution_count"}
        assert set(cell) == keys
        assert all(isinstance(line, str) for line in cell["source"])


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """The project as a user uploads it, except that what is run is a stub."""
    folder = tmp_path / "melanoma-main"
    for part in ("src", "scripts", "configs", "kaggle_kernel"):
        skipped = shutil.ignore_patterns("__pycache__")
        shutil.copytree(project_root() / part, folder / part, ignore=skipped)
    shutil.copy(project_root() / "requirements.txt", folder)
    stub = folder / "src" / "melanoma" / "kaggle" / "kernel.py"
    stub.write_text(STUB.format(code=0))
    return folder


def execute(tmp_path: Path) -> "subprocess.CompletedProcess[str]":
    (tmp_path / "tmp").mkdir()
    script = tmp_path / "cells.py"
    script.write_text("\n\n".join(cells()))
    environment = {
        **os.environ,
        "MELANOMA_KAGGLE_ROOT": str(tmp_path / "kaggle"),
        "TMPDIR": str(tmp_path / "tmp"),
    }
    environment.pop("PYTHONPATH", None)
    command = [sys.executable, str(script)]
    return subprocess.run(command, env=environment, capture_output=True, text=True, cwd=tmp_path)


@pytest.mark.parametrize("place", ["melanoma-code", "datasets/me/melanoma-code"])
@pytest.mark.parametrize("zipped", [False, True])
def test_its_cells_find_the_project_and_run_it(
    tmp_path: Path, project: Path, place: str, zipped: bool
) -> None:
    target = tmp_path / "kaggle" / "input" / place
    target.mkdir(parents=True)
    (tmp_path / "kaggle" / "input" / "competitions" / "jpeg" / "train").mkdir(parents=True)
    if zipped:
        shutil.make_archive(str(target / "code"), "zip", tmp_path, project.name)
    else:
        shutil.move(project, target / project.name)
    done = execute(tmp_path)
    assert done.returncode == 0, done.stderr
    job_json = tmp_path / "tmp" / "melanoma_bundle" / "job.json"
    assert f"the job runs {job_json}" in done.stdout
    job = parse_job(job_json.read_text())
    assert (job.config, job.folds, job.internet) == ("configs/baseline.yaml", "all", True)
    assert "lightning" in {requirement.name for requirement in job.requirements}
    assert (job_json.parent / "scripts" / "train_folds.py").is_file()


def test_a_job_that_fails_fails_the_notebook(tmp_path: Path, project: Path) -> None:
    stub = project / "src" / "melanoma" / "kaggle" / "kernel.py"
    stub.write_text(STUB.format(code=2))
    (tmp_path / "kaggle" / "input").mkdir(parents=True)
    shutil.move(project, tmp_path / "kaggle" / "input" / "code")
    done = execute(tmp_path)
    assert done.returncode == 1
    assert "RunError: the job has ended with exit code 2; see above" in done.stderr


def test_without_the_project_it_says_what_there_is(tmp_path: Path) -> None:
    (tmp_path / "kaggle" / "input" / "jpeg-melanoma-512x512").mkdir(parents=True)
    done = execute(tmp_path)
    assert done.returncode == 1
    assert "the project is not among the inputs (jpeg-melanoma-512x512)" in done.stderr


def test_a_job_is_filled_as_a_kernels_is(project: Path) -> None:
    (project / "folds").mkdir()
    (project / "folds" / "folds.csv").touch()
    settings = {"config": "configs/demo.yaml", "overrides": ["--seed=1"], "runs": []}
    job = parse_job(write_job(project, settings).read_text())
    assert job == Job(
        mode="train",
        run="demo",
        config="configs/demo.yaml",
        overrides=("--seed=1",),
        folds_csv="folds/folds.csv",
        requirements=job.requirements,
    )


def test_mistakes_in_the_settings_are_named(project: Path) -> None:
    with pytest.raises(ConfigError, match=r"colour: no such setting. There are mode, config"):
        write_job(project, {"colour": "red"})
    with pytest.raises(ConfigError, match=r"folds: no such setting. Did you mean fold\?"):
        write_job(project, {"folds": "all"})
    with pytest.raises(ConfigError, match=r"configs/mine.yaml: no such recipe. There are baseline"):
        write_job(project, {"config": "configs/mine.yaml"})
    with pytest.raises(ConfigError, match=r"--mode ensemble: no run to blend"):
        write_job(project, {"mode": "ensemble", "config": None})


def test_what_a_job_prints_is_shown_and_its_failure_too(
    project: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run_job(project / "job.json")
    assert capsys.readouterr().out == f"the job runs {project / 'job.json'}\n"
    (project / "src/melanoma/kaggle/kernel.py").write_text("raise SystemExit(75)")
    with pytest.raises(RunError, match="the job has ended with exit code 75"):
        run_job(project / "job.json")
