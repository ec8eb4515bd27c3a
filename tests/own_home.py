"""A home of the suite's own, and a watch on writing outside it, the clone and temporary folders.

What a test process itself would write elsewhere fails at once, in the test that does it. What its
children write goes to the home of the suite, which is looked at when the suite ends; a child that is
started without a home, and would find the user's, fails too.
"""

import os
import shutil
import sys
import tempfile
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
# Third parties' caches, which come back when they are removed: matplotlib's fonts, torch's compilers,
# pip's wheels, and rustup's, since pip asks for the version of Rust before it speaks to an index.
CACHES = (
    *(".cache/matplotlib", ".config/matplotlib", ".cache/fontconfig", ".cache/pip"),
    *(".cache/torch_extensions", ".rustup", "compiled", "warm"),
)
# Settings of a user's that lead elsewhere, or speak for the user.
_REMOVED = (
    *("XDG_CACHE_HOME", "XDG_CONFIG_HOME", "XDG_DATA_HOME", "MPLCONFIGDIR", "TORCH_HOME"),
    *("HF_HOME", "HF_HUB_CACHE", "KAGGLE_CONFIG_DIR", "KAGGLE_USERNAME", "KAGGLE_KEY"),
    *("KAGGLE_API_TOKEN", "RAY_TMPDIR", "RAY_AUTH_TOKEN_PATH", "TORCHINDUCTOR_CACHE_DIR"),
)
_WRITES = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_TRUNC
# Which arguments of an event are paths that are written, and which is the descriptor of the folder that
# they are relative to (the table of audit events in Python's documentation).
_PATHS = {
    "os.chmod": ((0,), 2),
    "os.link": ((1,), 3),
    "os.mkdir": ((0,), 2),
    "os.remove": ((0,), 1),
    "os.rename": ((0, 1), 3),
    "os.rmdir": ((0,), 1),
    "os.symlink": ((1,), 2),
    "os.truncate": ((0,), None),
}


class OutsideError(BaseException):
    """A test writes outside the clone and temporary folders. No test can catch it by accident."""


class Watch:
    """Looks at what a process writes, and at the children that it starts.

    Args:
        allowed: Folders in which anything may be written.
        found: Where what was found is added: a line each, with the test that did it.
    """

    def __init__(self, allowed: list[Path], found: Path) -> None:
        self._allowed = tuple(f"{os.path.realpath(folder)}{os.sep}" for folder in allowed)
        self._found = found
        self._busy = False

    def __call__(self, event: str, arguments: tuple[Any, ...]) -> None:
        """As `sys.addaudithook` calls it."""
        if self._busy:
            return
        if event == "open":
            path, _, flags = arguments
            if isinstance(flags, int) and flags & _WRITES:
                self._check(path)
        elif event in _PATHS:
            numbers, folder = _PATHS[event]
            # shutil.rmtree goes by descriptors of folders, which it has opened by a path that was seen.
            if folder is None or arguments[folder] == -1:
                for number in numbers:
                    self._check(arguments[number])
        elif event == "subprocess.Popen":
            program, environment = os.path.basename(os.fsdecode(arguments[0])), arguments[3]
            # Packages start programs of the system's, such as ldconfig, with little or no environment.
            if program.startswith("python") and "HOME" not in (environment or os.environ):
                self._tell(f"a child has no HOME, and would use the user's: {arguments[1]}")

    def _check(self, path: object) -> None:
        if not isinstance(path, str | bytes | os.PathLike):
            return  # the number of a file that is open
        self._busy = True
        try:
            name = os.fsdecode(path)
            # Of the folder alone: a link is written where it stands.
            folder, base = os.path.split(os.path.abspath(name))
            real = os.path.join(os.path.realpath(folder), base)
        finally:
            self._busy = False
        if f"{os.sep}__pycache__{os.sep}" in real:
            return  # Python's own cache, where a package is
        if not f"{real}{os.sep}".startswith(self._allowed):
            self._tell(f"{real} is written")

    def _tell(self, what: str) -> None:
        line = f"{os.environ.get('PYTEST_CURRENT_TEST', 'outside a test')}: {what}"
        self._busy = True
        try:
            with self._found.open("a", encoding="utf-8") as file:
                file.write(line + "\n")
        finally:
            self._busy = False
        raise OutsideError(line)


def move_in() -> Path:
    """Give this process and its children a home of their own, and watch what they write.

    Returns:
        The home: of all workers of a suite the same.
    """
    if "PYTEST_XDIST_WORKER" in os.environ:
        home = Path(os.environ["HOME"])
    else:
        home = Path(tempfile.mkdtemp(prefix="melanoma-home-"))
        for name in _REMOVED:
            os.environ.pop(name, None)
        os.environ["HOME"] = str(home)
        # Below temporary folders by default, and shared by all that a user runs.
        os.environ["TORCHINDUCTOR_CACHE_DIR"] = str(home / "compiled")
    allowed = [ROOT, Path(tempfile.gettempdir()), Path(sys.prefix), Path("/dev"), Path("/proc")]
    sys.addaudithook(Watch(allowed, found_in(home)))
    return home


def found_in(home: Path) -> Path:
    """Where what the watch finds is written."""
    return home.with_suffix(".found")


def move_out(home: Path) -> list[str]:
    """Remove the home; what was found, and what lies in the home beside third parties' caches."""
    found = found_in(home)
    lines = found.read_text(encoding="utf-8").splitlines() if found.is_file() else []
    known = {home / name for name in CACHES}
    above = {parent for path in known for parent in path.parents}
    for path in sorted(home.rglob("*")):
        if path not in above and not known & {path, *path.parents}:
            lines.append(f"a test has left ~/{path.relative_to(home)}")
    found.unlink(missing_ok=True)
    shutil.rmtree(home, ignore_errors=True)
    return lines
