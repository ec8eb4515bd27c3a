import json
from pathlib import Path
from typing import Any

import pytest

from melanoma.ensemble.outputs import check_out_dir, write_outputs
from melanoma.errors import ConfigError
from melanoma.files import sha256_of


def options(*runs: str, method: str = "mean") -> dict[str, Any]:
    return {"run_dir": list(runs), "oof": [], "submissions": [], "method": method}


def write(out_dir: Path, content: str, asked: dict[str, Any], overwrite: bool = False) -> None:
    contents = {"oof.csv": content.encode(), "submission.csv": b"s"}
    write_outputs(out_dir, contents, {"options": asked}, overwrite)


def test_everything_is_written_and_described(tmp_path: Path) -> None:
    write(tmp_path / "new", "a", options("runs/a"))
    described = json.loads((tmp_path / "new" / "submission.json").read_text())
    for name in ("oof.csv", "submission.csv"):
        assert described["outputs"][name] == sha256_of(tmp_path / "new" / name)


def test_the_same_command_may_be_repeated_after_its_runs_went_on(tmp_path: Path) -> None:
    write(tmp_path, "a", options("runs/a"))
    check_out_dir(tmp_path, options("runs/../runs/a"), overwrite=False)
    write(tmp_path, "b", options("runs/../runs/a"))
    assert (tmp_path / "oof.csv").read_text() == "b"


@pytest.mark.parametrize("other", [options("runs/b"), options("runs/a", method="rank")])
def test_another_blend_is_not_overwritten_unless_asked(
    tmp_path: Path, other: dict[str, Any]
) -> None:
    write(tmp_path, "a", options("runs/a"))
    message = r"submission.json describes another blend: mean of runs/a. Choose another --out-dir"
    with pytest.raises(ConfigError, match=message):
        check_out_dir(tmp_path, other, overwrite=False)
    with pytest.raises(ConfigError, match=r"oof.csv would be lost: not made by this very command"):
        write(tmp_path, "b", other)
    assert (tmp_path / "oof.csv").read_text() == "a"
    check_out_dir(tmp_path, other, overwrite=True)
    write(tmp_path, "b", other, overwrite=True)
    assert (tmp_path / "oof.csv").read_text() == "b"


def test_what_somebody_else_wrote_is_not_overwritten(tmp_path: Path) -> None:
    (tmp_path / "oof.csv").write_text("mine")
    check_out_dir(tmp_path, options("runs/a"), overwrite=False)
    with pytest.raises(ConfigError, match=r"oof.csv would be lost"):
        write(tmp_path, "a", options("runs/a"))
    assert not (tmp_path / "submission.csv").exists()
    assert (tmp_path / "oof.csv").read_text() == "mine"


def test_what_somebody_changed_is_not_overwritten(tmp_path: Path) -> None:
    write(tmp_path, "a", options("runs/a"))
    (tmp_path / "oof.csv").write_text("corrected by hand")
    with pytest.raises(ConfigError, match=r"oof.csv would be lost"):
        write(tmp_path, "a", options("runs/a"))


def test_files_that_hold_the_same_already_are_in_nobodys_way(tmp_path: Path) -> None:
    (tmp_path / "oof.csv").write_text("a")
    write(tmp_path, "a", options("runs/a"))
    assert (tmp_path / "submission.json").exists()


@pytest.mark.parametrize("content", ["{", "[]", '{"options": 3, "outputs": {}}', '{"a": 1}'])
def test_a_description_of_something_else_is_not_overwritten(tmp_path: Path, content: str) -> None:
    (tmp_path / "submission.json").write_text(content)
    with pytest.raises(ConfigError, match=r"submission.json would be lost"):
        write(tmp_path, "a", options("runs/a"))
    write(tmp_path, "a", options("runs/a"), overwrite=True)


def test_what_an_earlier_blend_left_goes_with_it(tmp_path: Path) -> None:
    asked = {"options": options("runs/a")}
    write_outputs(tmp_path, {"oof.csv": b"a", "shift.png": b"p", "submission.csv": b"s"}, asked)
    (tmp_path / "submission.csv").write_text("changed by hand")
    write_outputs(tmp_path, {"oof.csv": b"a"}, asked)
    assert not (tmp_path / "shift.png").exists()
    assert (tmp_path / "submission.csv").exists()
