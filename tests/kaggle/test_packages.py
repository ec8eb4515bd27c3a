import importlib
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path

import pytest

from melanoma.errors import ConfigError
from melanoma.kaggle.job import Requirement
from melanoma.kaggle.mounts import Mounts, list_mounts
from melanoma.kaggle.packages import (
    InstallationError,
    Plan,
    found_version,
    install,
    plan_packages,
    plans_as_text,
)
from tiny_wheel import PROBE, wheel

SOURCE = Path(__file__).parents[2] / "src"
NOTHING = Mounts(Path("input"), ())


def plan(root: Path, specifier: str = "", number: str = "1.0", internet: bool = False) -> Plan:
    wanted = Requirement(PROBE, number, specifier)
    (planned,) = plan_packages([wanted], list_mounts(root), internet)
    return planned


def test_what_the_image_has_is_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importlib.metadata, "version", lambda _: "2.10.0+cu128")
    for specifier in ("", ">=2.8", "==2.10.0", "<3"):
        (planned,) = plan_packages([Requirement("torch", "2.9", specifier)], NOTHING, False)
        assert not planned.to_install
        assert planned.origin == "the image"


def test_the_newest_wheel_that_fits_is_taken(tmp_path: Path) -> None:
    for number in ("1.9", "1.10", "2.0"):
        wheel(tmp_path / "wheels", number)
    wheel(tmp_path / "wheels", "1.11", "cp39-cp39-win_amd64")
    (tmp_path / "wheels" / "other-3.0-py3-none-any.whl").touch()
    for specifier, name in [("<2", "1.10"), ("", "1.9"), (">=1", "2.0")]:
        taken = plan(tmp_path, specifier, number="1.9").wheel
        assert taken is not None
        assert taken.name.startswith(f"melanoma_probe-{name}-")


def test_without_a_wheel_it_comes_from_the_index_pinned(tmp_path: Path) -> None:
    planned = plan(tmp_path, ">=1", internet=True)
    assert planned.pip_argument == f"{PROBE}==1.0"
    assert planned.origin == f"index: {PROBE}==1.0"


def test_what_can_be_had_from_nowhere_is_named(tmp_path: Path) -> None:
    wheel(tmp_path, "0.5")
    with pytest.raises(
        ConfigError, match=r"melanoma-probe not at all \(needed: >=1\). .*push_kernel.py wheels"
    ):
        plan(tmp_path, ">=1")
    (tmp_path / "melanoma-probe.whl").touch()
    with pytest.raises(ConfigError, match=r"melanoma-probe.whl: not named as a wheel is"):
        plan(tmp_path)


@pytest.mark.parametrize("name", ["torch", "torchvision", "Torch_XLA", "numpy"])
def test_the_basis_of_the_image_is_never_replaced(name: str) -> None:
    wanted = [Requirement(name, "999.0", ">=999")]
    with pytest.raises(ConfigError, match=rf"image has {name} .* not replaced: choose its latest"):
        plan_packages(wanted, NOTHING, internet=True)


def test_versions_are_compared_without_packaging(tmp_path: Path) -> None:
    there = wheel(tmp_path)
    assert plan_without("packaging", folder=tmp_path).stdout == f"{there.name}\n"
    refused = plan_without("packaging", "pip", folder=tmp_path)
    assert "neither packaging nor pip is installed" in refused.stderr


def plan_without(*absent: str, folder: Path) -> subprocess.CompletedProcess[str]:
    # In a process of its own: under Python 3.11, importing pip turns off setuptools' distutils for
    # the rest of the process, which torch.compile imports.
    code = (
        f"import sys; sys.modules.update(dict.fromkeys({absent})); from pathlib import Path\n"
        "from melanoma.kaggle.job import Requirement\n"
        "from melanoma.kaggle.mounts import list_mounts\n"
        "from melanoma.kaggle.packages import plan_packages\n"
        f"mounts = list_mounts(Path({str(folder)!r}))\n"
        f"(plan,) = plan_packages([Requirement({PROBE!r}, '1.0', '')], mounts, internet=False)\n"
        "print(plan.wheel.name)"
    )
    return subprocess.run(
        [sys.executable, "-c", code], cwd=SOURCE, capture_output=True, text=True, check=False
    )


def test_wheels_are_installed_beside_the_image(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    wheel(tmp_path / "wheels")
    packages = tmp_path / "packages"
    planned = [plan(tmp_path), *plan_packages([Requirement("pip", "1")], NOTHING, False)]
    install(planned, packages)
    monkeypatch.setattr(sys, "path", [str(packages), *sys.path])
    assert version(PROBE) == "1.0"
    assert found_version("no-such-package-anywhere") is None  # nothing it depends on
    lines = plans_as_text(planned).splitlines()
    assert lines[0].split() == ["package", "needed", "found", "from"]
    assert lines[1].split()[:3] == [PROBE, "any", "-"]
    assert lines[1].endswith("attached: melanoma_probe-1.0-py3-none-any.whl")
    assert lines[2].endswith("the image")


def test_an_installation_that_fails_leaves_nothing(tmp_path: Path) -> None:
    wheel(tmp_path / "wheels", "1.0")
    broken = wheel(tmp_path / "wheels", "2.0")
    good, bad = plan(tmp_path, "==1.0"), plan(tmp_path, "==2.0")
    broken.write_bytes(b"no archive")
    with pytest.raises(InstallationError, match=r"pip has failed with exit code 1; the reason is"):
        install([good, bad], tmp_path / "packages")
    assert not list((tmp_path / "packages").glob("*"))
    install([], tmp_path / "packages")
