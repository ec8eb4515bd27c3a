"""Importing a module writes nothing, and no test writes outside the clone and temporary folders."""

import json
import os
import pwd
import re
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

import pytest

from own_home import ROOT, OutsideError, Watch, move_out

SOURCE = ROOT / "src"
MODULES = sorted(
    ".".join(path.relative_to(SOURCE).with_suffix("").parts).removesuffix(".__init__")
    for path in SOURCE.rglob("*.py")
    if path.name != "__main__.py"
)
# Imports every module, and tells what was written, and whom it would have spoken to.
WITNESS = """
import json, os, sys
seen, names, current = [], json.loads(sys.argv[1]), [""]
writes = os.O_WRONLY | os.O_RDWR | os.O_CREAT
def watch(event, arguments):
    written = event == "open" and isinstance(arguments[2], int) and arguments[2] & writes
    if written or event in ("os.mkdir", "socket.connect", "socket.getaddrinfo"):
        seen.append((current[0], event, str(arguments[0])))
sys.addaudithook(watch)
for name in names:
    current[0] = name
    __import__(name)
print(json.dumps(seen))
"""
# What packages do that are imported with ours: captum imports matplotlib, and torch's compiler makes
# its folder.
OF_OTHERS = ("/matplotlib", "/compiled", "__pycache__")


@pytest.mark.usefixtures("warm")  # of what others do there is enough
def test_importing_a_module_writes_nothing_and_asks_nobody(tmp_path: Path) -> None:
    home = tmp_path / "home"
    home.mkdir()
    done = subprocess.run(
        [sys.executable, "-c", WITNESS, json.dumps(MODULES)],
        env={**os.environ, "HOME": str(home), "PYTHONPATH": str(SOURCE)},
        cwd=tmp_path,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    temporary = re.compile(rf"{tempfile.gettempdir()}/\w+")
    ours = [
        f"{name}: {event} {path}"
        for name, event, path in json.loads(done.stdout.splitlines()[-1])
        if not temporary.fullmatch(path)
        and path not in ("/dev/null", f"{home}/.cache", f"{home}/.config")
        and not any(part in path for part in OF_OTHERS)
    ]
    assert not ours, "\n".join(ours)
    home.with_suffix(".found").touch()
    assert move_out(home) == []


def test_the_home_is_the_suites_own() -> None:
    assert Path.home() != Path(pwd.getpwuid(os.getuid()).pw_dir)
    assert "melanoma-home-" in os.environ["HOME"]


@pytest.fixture
def found(tmp_path: Path) -> Path:
    return tmp_path / "found"


@pytest.fixture
def watch(tmp_path: Path, found: Path) -> Watch:
    (tmp_path / "inside").mkdir()
    return Watch([tmp_path / "inside"], found)


WRITES: dict[str, Callable[[str], tuple[str, tuple[object, ...]]]] = {
    "open": lambda path: ("open", (path, "w", os.O_WRONLY)),
    "append": lambda path: ("open", (path, None, os.O_RDWR | os.O_CREAT)),
    "mkdir": lambda path: ("os.mkdir", (path, 0o777, -1)),
    "remove": lambda path: ("os.remove", (path, -1)),
    "move here": lambda path: ("os.rename", ("inside/a", path, -1, -1)),
    "move away": lambda path: ("os.rename", (path, "inside/a", -1, -1)),
    "link": lambda path: ("os.symlink", ("anything", path, -1)),
    "bytes": lambda path: ("os.chmod", (os.fsencode(path), 0, -1)),
}


@pytest.mark.parametrize("kind", list(WRITES))
@pytest.mark.parametrize(
    ("path", "is_inside"),
    [
        ("inside/file", True),
        ("inside/../inside/file", True),
        ("inside/../file", False),
        ("inside_too/file", False),
        ("inside/link/file", False),
        ("inside/__pycache__/file.pyc", True),
        ("file", False),
    ],
)
def test_what_is_written_elsewhere_is_seen(
    kind: str,
    path: str,
    is_inside: bool,
    watch: Watch,
    found: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "inside" / "link").symlink_to(tmp_path)
    event, arguments = WRITES[kind](path)
    if is_inside:
        watch(event, arguments)
        assert not found.exists()
    else:
        with pytest.raises(OutsideError, match="is written"):
            watch(event, arguments)
        assert "test_what_is_written_elsewhere_is_seen" in found.read_text()


def test_reading_is_allowed_everywhere(watch: Watch) -> None:
    watch("open", ("/etc/hostname", "r", os.O_RDONLY))
    watch("open", (3, "w", os.O_WRONLY))
    watch("import", ("anything",))


def test_a_child_has_a_home(watch: Watch) -> None:
    watch("subprocess.Popen", ("python", ["python"], None, None))
    watch("subprocess.Popen", ("python", ["python"], None, {"HOME": "/somewhere"}))
    watch("subprocess.Popen", ("/sbin/ldconfig", ["ldconfig"], None, {"LANG": "C"}))
    with pytest.raises(OutsideError, match="no HOME"):
        watch("subprocess.Popen", ("/a/python3.12", ["python"], None, {"PATH": "/bin"}))


def test_it_is_told_what_lies_in_the_home(tmp_path: Path) -> None:
    home = tmp_path / "home"
    for name in (".cache/matplotlib/fonts", "compiled/a", ".config/kaggle", ".cache/melanoma"):
        (home / name).mkdir(parents=True)
    (home / ".ray").touch()
    home.with_suffix(".found").write_text("a test: /etc/passwd is written\n")
    assert move_out(home) == [
        "a test: /etc/passwd is written",
        "a test has left ~/.cache/melanoma",
        "a test has left ~/.config/kaggle",
        "a test has left ~/.ray",
    ]
    assert not home.exists()
    assert move_out(tmp_path / "another") == []
