import ast
import importlib
import importlib.metadata
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from importlib.metadata import version
from pathlib import Path

import pytest

from melanoma.errors import ConfigError
from melanoma.kaggle.bundle import SCRIPTS
from melanoma.kaggle.inputs import Mounts, list_mounts
from melanoma.kaggle.job import ACCELERATORS, Mode, Requirement, project_root
from melanoma.kaggle.packages import (
    PINS,
    RANGES,
    InstallationError,
    Plan,
    found_version,
    install,
    packages_to_bring,
    plan_packages,
    plans_as_text,
    read_requirements,
)
from tiny_wheel import PROBE, wheel

ROOT = project_root()
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


@pytest.mark.parametrize(("specifier", "number"), [("<2", "1.10"), ("", "1.9"), (">=1", "2.0")])
def test_the_newest_wheel_that_fits_is_taken(tmp_path: Path, specifier: str, number: str) -> None:
    for known in ("1.9", "1.10", "2.0"):
        wheel(tmp_path / "wheels", known)
    wheel(tmp_path / "others", "2.1", "cp39-cp39-win_amd64")
    (tmp_path / "others" / "other-3.0-py3-none-any.whl").touch()
    install([plan(tmp_path, specifier, number="1.9")], tmp_path / "packages")
    module = (tmp_path / "packages" / "melanoma_probe.py").read_text()
    assert module == f"version = '{number}'\n"


def test_without_a_wheel_it_comes_from_the_index_pinned(tmp_path: Path) -> None:
    planned = plan(tmp_path, ">=1", internet=True)
    assert planned.pip_argument == f"{PROBE}==1.0"
    assert planned.origin == f"index: {PROBE}==1.0"


def test_what_can_be_had_from_nowhere_is_named(tmp_path: Path) -> None:
    with pytest.raises(
        ConfigError, match=r"melanoma-probe not at all \(needed: >=1\). .*push_kernel.py wheels"
    ):
        plan(tmp_path, ">=1")


@pytest.mark.parametrize("name", ["torch", "torchvision", "Torch_XLA", "numpy"])
def test_the_basis_of_the_image_is_never_replaced(name: str) -> None:
    wanted = [Requirement(name, "999.0", ">=999")]
    with pytest.raises(ConfigError, match=rf"image has {name} .* not replaced: choose its latest"):
        plan_packages(wanted, NOTHING, internet=True)


def test_versions_are_compared_without_packaging() -> None:
    assert plan_without("packaging").stdout == "the image\n"
    refused = plan_without("packaging", "pip")
    assert "neither packaging nor pip is installed" in refused.stderr


def plan_without(*absent: str) -> subprocess.CompletedProcess[str]:
    # In a process of its own: under Python 3.11, importing pip turns off setuptools' distutils for
    # the rest of the process, which torch.compile imports.
    code = (
        f"import sys; sys.modules.update(dict.fromkeys({absent})); from pathlib import Path\n"
        "from melanoma.kaggle.job import Requirement\n"
        "from melanoma.kaggle.inputs import Mounts\n"
        "from melanoma.kaggle.packages import plan_packages\n"
        "wanted = [Requirement('pytest', '', '>=1')]\n"
        "(plan,) = plan_packages(wanted, Mounts(Path(), ()), internet=False)\n"
        "print(plan.origin)"
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
    assert lines[1].endswith("attached: melanoma-probe==1.0")
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


def names(mode: Mode) -> list[str]:
    return [requirement.name for requirement in read_requirements(mode)]


def test_what_the_images_lack_is_brought() -> None:
    gpu = {requirement.name for requirement in packages_to_bring(["t4x2"])}
    tpu = {requirement.name for requirement in packages_to_bring(["tpu"])}
    blend = {requirement.name for requirement in packages_to_bring(["cpu"], "ensemble")}
    assert blend == {"jsonargparse", "docstring-parser", "typeshed-client"}
    assert gpu == blend | {"lightning", "efficientnet-pytorch"}
    assert tpu == gpu | {"pytorch-lightning", "lightning-utilities", "torchmetrics"}


@pytest.mark.parametrize("mode", ["train", "predict", "ensemble"])
def test_a_kernel_needs_no_more_than_it_runs(mode: Mode) -> None:
    needed = set(names(mode))
    assert not {"imagehash", "captum", "plotly", "wandb", "kaggle", "ray"} & needed
    assert ("torch" in needed) == ("lightning" in needed) == (mode != "ensemble")
    assert {"jsonargparse", "pandas", "scikit-learn"} <= needed


def test_versions_are_the_pinned_ones_and_ranges_the_wanted_ones() -> None:
    pinned = dict(
        line.split("==") for line in (ROOT / "constraints.txt").read_text().splitlines() if line
        and not line.startswith("#")
    )  # fmt: skip
    canonical = {name.lower().replace("_", "-"): number for name, number in pinned.items()}
    for brought in packages_to_bring(list(ACCELERATORS)):
        assert canonical[brought.name] == brought.version
    known = {requirement.name: requirement for requirement in read_requirements("train")}
    assert known["lightning"] == Requirement("lightning", canonical["lightning"], ">=2.5")
    assert known["torch"] == Requirement("torch", "", ">=2.8")
    assert known["torchmetrics"].specifier == ""


WORKERS = ("src/melanoma/training/__main__.py", "src/melanoma/prediction/__main__.py")
OWN = ("src/melanoma/kaggle/kernel.py", "src/melanoma/kaggle/work.py")
RUN: dict[Mode, tuple[str, ...]] = {
    "train": (*(f"scripts/{name}.py" for name in SCRIPTS), *WORKERS),
    "predict": ("scripts/predict_folds.py", "scripts/build_submission.py", WORKERS[1]),
    "ensemble": ("scripts/build_submission.py",),
}
# Known to be in every image, beside what requires them; torch_xla is in that for TPUs.
OF_OTHERS = {"huggingface-hub": "timm", "safetensors": "timm", "packaging": "lightning",
             "torch-xla": "torch", "typing-extensions": "torch", "tqdm": "timm"}  # fmt: skip


@pytest.mark.parametrize("mode", sorted(RUN))
def test_what_a_kernel_imports_is_in_a_list(mode: Mode) -> None:
    known = {**importlib.metadata.packages_distributions(), "torch_xla": ["torch-xla"]}
    imported = imported_packages(ROOT, [ROOT / name for name in (*RUN[mode], *OWN)])
    needed = {re.sub(r"[-_.]+", "-", known[name][0]).lower() for name in imported}
    lacking = needed - set(names(mode))
    assert {name for name in lacking if OF_OTHERS.get(name) not in names(mode)} == set()


def imported_packages(root: Path, entries: list[Path]) -> set[str]:
    """Top-level names of the third-party packages that files, and what of ours they import, need.

    They count wherever they are imported; our own modules where they are imported at the top of a
    module: what a function imports of ours serves an option that a kernel does not use.
    """
    found: set[str] = set()
    waiting, seen = list(entries), set[Path]()
    while waiting:
        path = waiting.pop()
        if path not in seen:
            seen.add(path)
            tree = ast.parse(path.read_text(encoding="utf-8"))
            found |= {name.split(".")[0] for name in imports_of(tree, everywhere=True)}
            for name in imports_of(tree, everywhere=False):
                parts = name.split(".") if name.split(".")[0] == "melanoma" else []
                inits = [Path(*parts[:n], "__init__.py") for n in range(1, len(parts) + 1)]
                own = [*inits, Path(*parts).with_suffix(".py")] if parts else []
                waiting += [root / "src" / file for file in own if (root / "src" / file).is_file()]
    return found - sys.stdlib_module_names - {"melanoma"}


def imports_of(tree: ast.AST, everywhere: bool) -> Iterator[str]:
    """Dotted names, and for `from a import b` both `a` and `a.b`, which may be a module."""
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test):
            continue
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield node.module
            yield from (f"{node.module}.{alias.name}" for alias in node.names)
        if everywhere or not isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            yield from imports_of(node, everywhere)


@pytest.mark.parametrize("name", [PINS, RANGES])
def test_a_list_that_is_missing_or_damaged_is_named(tmp_path: Path, name: str) -> None:
    (tmp_path / "kaggle_kernel").mkdir()
    for known in (PINS, RANGES):
        shutil.copy(ROOT / known, tmp_path / known)
    assert read_requirements("train", tmp_path) == read_requirements("train")
    (tmp_path / name).write_text("lightning 2.6\n")
    with pytest.raises(ConfigError, match=r"requirements.txt: lightning 2.6 is no package and"):
        read_requirements("train", tmp_path)
    (tmp_path / name).unlink()
    with pytest.raises(ConfigError, match=r"requirements.txt: no such file"):
        read_requirements("train", tmp_path)
