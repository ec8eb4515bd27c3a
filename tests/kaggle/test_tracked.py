import subprocess
from pathlib import Path

import pytest

from melanoma.kaggle.guard import Tracked, look_up

NAMES = ["a.py", "src/b.py", "configs/ü [1].yaml"]


@pytest.fixture
def repository(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", "/dev/null")
    for name in NAMES:
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text("first\n")
    git(tmp_path, "init", "-q")
    git(tmp_path, "add", ".")
    who = ["-c", "user.name=n", "-c", "user.email=e@example.org"]
    git(tmp_path, *who, "commit", "-q", "-m", "first")
    return tmp_path


def git(folder: Path, *words: str) -> None:
    subprocess.run(["git", "-C", str(folder), *words], check=True)  # noqa: S607


def test_what_is_committed_needs_no_word(repository: Path) -> None:
    found = look_up(repository, NAMES)
    assert found.changed == ()
    assert found.as_text() == ""
    assert found.note == found.commit
    assert len(found.commit) == 40


def test_what_differs_is_named(repository: Path, tmp_path: Path) -> None:
    (repository / NAMES[2]).write_text("second\n")
    (repository / "new.py").write_text("")
    (repository / "other.py").write_text("")
    git(repository, "add", "new.py")
    found = look_up(repository, [*NAMES, "new.py", "/elsewhere/x.yaml"])
    assert found.changed == ("/elsewhere/x.yaml", "configs/ü [1].yaml", "new.py")
    assert found.note == f"{found.commit} (3 files differ)"
    assert found.as_text().splitlines()[0] == "not as committed:"


def test_one_file_is_one_file() -> None:
    assert Tracked("abc", ("x",)).note == "abc (1 file differs)"


def test_many_files_are_counted() -> None:
    text = Tracked("abc", tuple(f"{n}.py" for n in range(20))).as_text()
    assert text.endswith("11.py\n    and 8 more")


def test_without_a_repository_it_is_said(tmp_path: Path) -> None:
    found = look_up(tmp_path, NAMES)
    assert found == Tracked("", ())
    assert found.note == ""
    assert found.as_text().startswith("not in a git repository")


def test_a_repository_further_up_is_none_of_ours(repository: Path) -> None:
    assert look_up(repository / "src", ["b.py"]).commit == ""


def test_a_repository_without_a_commit_has_none(tmp_path: Path) -> None:
    git(tmp_path, "init", "-q")
    assert look_up(tmp_path, NAMES) == Tracked("", ())


def test_without_git_it_is_said(repository: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("shutil.which", lambda _: None)
    assert look_up(repository, NAMES) == Tracked("", ())
