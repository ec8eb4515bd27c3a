import getpass
import json
import platform
from pathlib import Path
from typing import Any

import pytest
import torch

import melanoma
from melanoma.run_folder import RunFolder
from melanoma.run_tables import hash_tables
from melanoma.training import record
from melanoma.training.inputs import tables_of
from melanoma.training.record import commit, hash_photographs, write_record
from tiny_run import tiny_config


@pytest.fixture
def written(competition: Path, folds_csv: Path) -> dict[str, Any]:
    return write(competition, folds_csv)


def write(competition: Path, folds_csv: Path) -> dict[str, Any]:
    config = tiny_config(competition, folds_csv)
    run = RunFolder(config.run_dir)
    run.take(config.resolved, hash_tables(tables_of(config)), replaceable=False)
    write_record(run, config)
    content: dict[str, Any] = json.loads(run.record_json.read_text())
    return content


def test_a_run_says_what_it_was_made_of(written: dict[str, Any]) -> None:
    (environment,) = written["environments"]
    assert environment["versions"]["torch"] == torch.__version__.split("+")[0]
    assert environment["versions"]["python"] == platform.python_version()
    assert environment["hardware"]["cores"] >= 1
    assert written["seed"] == 42
    assert written["photographs"]["n"] == 50
    assert set(written["tables"]) >= {"train.csv", "the fold file", "test.csv"}


def test_nobody_is_named(written: dict[str, Any], competition: Path) -> None:
    text = json.dumps(written)
    assert str(competition.parents[1]) not in text
    assert platform.node() not in text
    assert f"/{getpass.getuser()}" not in text


def test_the_same_call_leaves_the_same_bytes(competition: Path, folds_csv: Path) -> None:
    assert write(competition, folds_csv) == write(competition, folds_csv)


def test_a_run_that_goes_on_elsewhere_lists_both_machines(
    competition: Path, folds_csv: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = write(competition, folds_csv)["environments"]
    monkeypatch.setattr(record, "hardware", lambda: {"processor": "another"})
    assert write(competition, folds_csv)["environments"][:-1] == first
    both = write(competition, folds_csv)["environments"]
    assert [e["hardware"]["processor"] == "another" for e in both] == [False, True]


def test_a_damaged_record_is_written_anew(competition: Path, folds_csv: Path) -> None:
    first = write(competition, folds_csv)
    RunFolder(tiny_config(competition, folds_csv).run_dir).record_json.write_text("{")
    assert write(competition, folds_csv) == first


def test_photographs_are_known_by_names_and_sizes(tmp_path: Path) -> None:
    paths = [tmp_path / name for name in "ab"]
    for path in paths:
        path.write_bytes(b"123")
    known = hash_photographs(paths)
    assert known["n"] == 2
    assert hash_photographs(paths[::-1]) == known
    paths[0].write_bytes(b"1234")
    assert hash_photographs(paths) != known


def test_outside_a_repository_there_is_no_commit(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(melanoma, "__file__", str(tmp_path / "src/melanoma/__init__.py"))
    assert commit() is None
    (tmp_path / ".git").mkdir()  # not a repository, though it looks like one
    assert commit() is None


def test_a_commit_and_whether_files_differ_from_it() -> None:
    known = commit()
    if known is None:
        pytest.skip("not in a git repository")
    assert len(known["commit"]) == 40
    assert known["is_dirty"] in (True, False)
