"""Which Python the Makefile makes its environments with."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from documented import ROOT

_NEEDED = "is needed, with venv (on Debian and Ubuntu: python3-venv); say"
# A Python of a given version, without some modules. Of `-m` it writes down what it is asked for,
# and `-m venv` leaves the Python itself in the environment.
_PYTHON = """#!{real}
import os, shutil, sys
name, version, missing, log = os.path.basename(__file__), {version!r}, {missing!r}, {log!r}
if sys.argv[1] == "-c":
    sys.version_info = (*version, 0, "final", 0)
    sys.modules.update(dict.fromkeys(missing))  # None: cannot be imported
    exec(sys.argv[2])
with open(log, "a") as file:
    print(version[1], *sys.argv[2:4], file=file)
if sys.argv[2] == "venv":
    os.makedirs(sys.argv[-1] + "/bin", exist_ok=True)
    shutil.copy(__file__, sys.argv[-1] + "/bin/python")
"""


class Machine:
    """A machine with nothing but make, a shell and the Pythons that are put there."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.bin = folder / "bin"
        self.bin.mkdir()
        for tool in ("touch", "grep"):
            (self.bin / tool).symlink_to(shutil.which(tool) or tool)
        self.log = folder / "log"

    def put(self, name: str, version: tuple[int, int], missing: tuple[str, ...] = ()) -> None:
        """Put a Python there, under a name."""
        text = _PYTHON.format(
            real=sys.executable, version=version, missing=missing, log=str(self.log)
        )
        self._write(name, text)

    def put_broken(self, name: str) -> None:
        """Put there what pyenv leaves behind where a version is not chosen."""
        self._write(name, f"#!/bin/sh\necho 'pyenv: {name}: command not found' >&2\nexit 127\n")

    def make(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Run make, with the environments in this machine's folder."""
        return subprocess.run(
            [shutil.which("make") or "make", "--silent", "-C", str(ROOT), *arguments,
             f"VENV={self.folder}/venv", f"TPU_VENV={self.folder}/tpu"],
            env={"PATH": str(self.bin), "HOME": str(self.folder)},
            capture_output=True, text=True, check=False,
        )  # fmt: skip

    def asked(self) -> list[str]:
        """The minor versions of the Pythons, and the modules they were asked to run."""
        asked = self.log.read_text().splitlines() if self.log.exists() else []
        self.log.unlink(missing_ok=True)
        return asked

    def _write(self, name: str, text: str) -> None:
        (self.bin / name).write_text(text)
        (self.bin / name).chmod(0o755)


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    return Machine(tmp_path)


def test_the_newest_python_that_starts_and_can_make_an_environment_is_taken(
    machine: Machine,
) -> None:
    machine.put("python", (3, 11))
    machine.put("python3", (3, 15))
    machine.put("python3.12", (3, 12))
    machine.put("python3.13", (3, 13), missing=("ensurepip",))
    machine.put_broken("python3.14")
    assert machine.make("setup").returncode == 0
    assert machine.asked() == ["12 venv --clear", "12 pip install"]


def test_a_python_without_a_version_in_its_name_is_taken(machine: Machine) -> None:
    machine.put("python3", (3, 14))
    assert machine.make("setup").returncode == 0
    assert machine.asked()[0] == "14 venv --clear"


@pytest.mark.parametrize("named", [(), ("PYTHON3=python3.10",), ("PYTHON3=/nowhere/python3",)])
def test_a_machine_without_one_is_told_what_is_needed(
    machine: Machine, named: tuple[str, ...]
) -> None:
    machine.put("python3.10", (3, 10))
    machine.put("python3.14", (3, 14), missing=() if named else ("ensurepip",))
    done = machine.make("setup", *named)
    assert done.returncode == 2
    message, of_make = done.stderr.splitlines()
    assert message == f"Python 3.11 to 3.14 {_NEEDED} PYTHON3=/path/to/it"
    assert "Error 2" in of_make
    assert machine.asked() == []


def test_an_environment_keeps_its_python_when_a_newer_one_appears(machine: Machine) -> None:
    machine.put("python3.12", (3, 12))
    machine.make("setup")
    machine.put("python3.14", (3, 14))
    (machine.folder / "venv" / ".ready").unlink()  # as if the requirements had changed
    machine.asked()
    assert machine.make("setup").returncode == 0
    assert machine.asked() == ["12 pip install"]


def test_an_environment_whose_python_is_gone_is_made_anew(machine: Machine) -> None:
    machine.put("python3.13", (3, 13))
    machine.make("setup")
    machine.asked()
    (machine.folder / "venv" / ".ready").unlink()
    (machine.folder / "venv" / "bin" / "python").unlink()
    machine.make("setup")
    assert machine.asked() == ["13 venv --clear", "13 pip install"]


def test_tpus_take_the_newest_python_for_which_their_packages_have_wheels(machine: Machine) -> None:
    for version in (13, 14):
        machine.put(f"python3.{version}", (3, version))
    assert machine.make("tpu-python").returncode
    done = machine.make(f"{machine.folder}/tpu/.ready")
    assert done.returncode == 2
    assert done.stderr.startswith(f"Python 3.11 or 3.12 {_NEEDED} PYTHON3=/path/to/it\n")
    for version in (11, 12):
        machine.put(f"python3.{version}", (3, version))
    assert machine.make("tpu-python").stdout == "python3.12\n"
    assert machine.make("tpu-python", "PYTHON3=python3.11").stdout == "python3.11\n"
    machine.make(f"{machine.folder}/tpu/.ready")
    assert machine.asked() == ["12 venv --clear", "12 pip install"]
