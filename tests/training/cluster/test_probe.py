from dataclasses import replace
from pathlib import Path

import pytest

from melanoma.errors import RunError
from melanoma.files import sha256_of
from melanoma.training.cluster.probe import Expected, Seen, judge, look, versions
from melanoma.training.cluster.storage import write_token


@pytest.fixture
def expected(tmp_path: Path) -> Expected:
    for name, text in (("token", "abc"), ("train.csv", "x"), ("a.jpg", "12345")):
        (tmp_path / name).write_text(text)
    table = tmp_path / "train.csv"
    tables = {table: sha256_of(table)}
    return Expected("abc", tmp_path / "token", None, tables, {tmp_path / "a.jpg": 5})


def problem(expected: Expected) -> str:
    (found,) = look(expected).problems
    return found


def test_a_machine_that_sees_everything_has_no_problem(expected: Expected) -> None:
    seen = look(expected)
    assert seen.problems == []
    assert seen.versions == versions()
    assert judge([seen], versions()) == []


def test_a_run_folder_that_is_not_shared_is_told(expected: Expected) -> None:
    assert "its disk is not shared. Put --run_dir" in problem(
        replace(expected, token="def")  # noqa: S106 - a mark, no secret
    )
    assert expected.token_file is not None
    expected.token_file.unlink()
    assert "is not the run folder of this machine" in problem(expected)


def test_a_run_folder_that_cannot_be_written_is_told(
    expected: Expected, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("melanoma.training.cluster.probe.os.access", lambda *_: False)
    assert "cannot be written. Make it writable there" in problem(expected)


def test_data_that_is_not_there_or_another_is_told(expected: Expected, tmp_path: Path) -> None:
    (tmp_path / "a.jpg").write_text("1")
    assert "a.jpg is missing or of another size. Put the same data" in problem(expected)
    (tmp_path / "a.jpg").write_text("12345")
    (tmp_path / "train.csv").write_text("y")
    assert "train.csv is another file there (the SHA-256 differ)" in problem(expected)
    (tmp_path / "train.csv").unlink()
    assert "train.csv: no such file" in problem(expected)


def test_a_storage_is_looked_at_instead(expected: Expected, tmp_path: Path) -> None:
    address = f"file://{tmp_path}/storage"
    elsewhere = replace(expected, token_file=None, storage=address)
    assert "is another one there: its token is not the one" in problem(elsewhere)
    write_token(address, "abc")
    assert look(elsewhere).problems == []
    assert "cannot be read (--ray_storage nosuch://x" in problem(
        replace(elsewhere, storage="nosuch://x")
    )


def test_machines_are_named_with_what_they_lack() -> None:
    ours = {"python": "3.11.7", "torch": "2.15"}
    lacks = [Seen(host, ["no disk."], ours) for host in ("b", "a")]
    with pytest.raises(RunError, match=r"--launcher ray: on a, b: no disk\."):
        judge([*lacks, Seen("c", [], ours)], ours)
    with pytest.raises(RunError, match=r"on c: torch not installed. Run pip install -r requirem"):
        judge([Seen("c", [], {**ours, "torch": "missing"})], ours)
    with pytest.raises(RunError, match=r"on a, b: no disk\. \(1 more: on c: "):
        judge([*lacks, Seen("c", [], {**ours, "torch": "missing"})], ours)


def test_other_versions_are_worth_a_note() -> None:
    ours = {"torch": "2.15"}
    assert judge([Seen("a", [], {"torch": "2.8"})], ours) == [
        "note: a has torch 2.8, this machine 2.15: the last bits of what is trained there may differ"
    ]


def test_data_behind_an_address_are_opened_on_each_machine(
    expected: Expected, tmp_path: Path
) -> None:
    there = tmp_path / "there"
    there.mkdir()
    (there / "train.csv").write_text("image_name,target\na,0\n")
    opens = {"data_dir": f"file://{there}", "data_cache": str(tmp_path / "cache")}
    opens["train"] = sha256_of(there / "train.csv")
    assert look(replace(expected, behind_address=opens)).problems == []
    assert "has another train.csv there" in problem(
        replace(expected, behind_address={**opens, "train": "0"})
    )
    nowhere = {**opens, "data_dir": f"file://{tmp_path}/nowhere"}
    assert "nowhere" in problem(replace(expected, behind_address=nowhere))
