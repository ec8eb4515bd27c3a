"""The house: imports go down only, and what must start fast stays light."""

import ast
import os
import subprocess
import sys
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
SOURCE = ROOT / "src" / "melanoma"

# From the ground up. A module may import from its own room and from rooms below.
LEVELS = [
    {"errors"},
    {"files", "command_line", "children", "identifiers"},
    {"tables", "locking"},
    {"remote"},
    {"diagnoses", "metadata"},
    {"folds", "metrics"},
    {"run_folder", "run_tables", "epoch_predictions"},
    {"run_locks"},
    {"images"},
    {"models"},
    {"training"},
    {"prediction"},
    {"ensemble", "verification"},
    {"report", "kaggle", "sweeping"},
]
LEVEL_OF = {room: level for level, rooms in enumerate(LEVELS) for room in rooms}

# Third-party packages that only these modules may import.
OWNERS = {
    "timm": {
        f"models/{name}.py"
        for name in ("backbones", "weights", "published", "optimizers", "mixing")
    },
    "efficientnet_pytorch": {"models/backbones.py", "models/published.py"},
    "albumentations": {"images/transforms.py", "images/nuisances.py"},
    "kaggle": {"kaggle/client.py"},
    "kagglesdk": {"kaggle/client.py"},
    "requests": {"kaggle/client.py", "kaggle/failures.py"},
    "fsspec": {"remote/storage.py"},
    "plotly": {"report/drawing.py", "report/page.py"},
    "jinja2": {"report/page.py"},
    "captum": {"report/attention.py"},
    "grpc": {"training/cluster/address.py"},
    "ray": {f"training/cluster/{name}.py" for name in ("connection", "machines", "node")},
}
MODULES = sorted(path for path in SOURCE.rglob("*.py") if path != SOURCE / "__init__.py")


@cache
def imports_of(path: Path) -> frozenset[str]:
    """The names that a file imports. Both tests of imports ask, and a file is parsed once."""
    found: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            found.add(node.module)
    return frozenset(found)


def room_of(path: Path) -> str:
    return path.relative_to(SOURCE).parts[0].removesuffix(".py")


def test_the_modules_are_found() -> None:
    """The tests of all modules would pass if there were none."""
    assert SOURCE / "errors.py" in MODULES
    assert SOURCE / "training" / "fold.py" in MODULES


def test_every_room_has_a_level() -> None:
    unknown = sorted({room_of(path) for path in MODULES} - LEVEL_OF.keys())
    assert not unknown, f"LEVELS does not say where these belong: {unknown}"


def test_imports_go_down_only() -> None:
    upward = []
    for path in MODULES:
        room = room_of(path)
        ours = {name.split(".")[1] for name in imports_of(path) if name.startswith("melanoma.")}
        upward += [
            f"{path.relative_to(SOURCE)}, of {room}, imports {other}"
            for other in sorted(ours - {room})
            if LEVEL_OF[other] >= LEVEL_OF[room]
        ]
    assert not upward, "\n".join(upward)


def test_each_heavy_library_has_its_doors() -> None:
    elsewhere = []
    for path in MODULES:
        name = str(path.relative_to(SOURCE))
        packages = {imported.split(".")[0] for imported in imports_of(path)}
        elsewhere += [
            f"{name} imports {package}, which only {', '.join(sorted(owners))} may"
            for package, owners in OWNERS.items()
            if package in packages and name not in owners
        ]
    assert not elsewhere, "\n".join(elsewhere)


@pytest.mark.parametrize(
    "script", ["create_folds", "build_submission", "prepare_images", "report", "verify_run"]
)
def test_light_scripts_never_load_torch(script: str) -> None:
    code = (
        f"import runpy, sys; runpy.run_path('scripts/{script}.py'); print('torch' in sys.modules)"
    )
    printed = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True)
    assert printed.stdout.strip() == "False", printed.stderr


def test_what_talks_to_kaggle_loads_neither_torch_nor_its_package_by_itself() -> None:
    modules = sorted(path.stem for path in (SOURCE / "kaggle").glob("*.py"))
    imports = "; ".join(f"import melanoma.kaggle.{module}" for module in modules)
    code = f"{imports}; import sys; print({{'torch', 'kaggle', 'requests'}} & set(sys.modules))"
    printed = subprocess.run(
        [sys.executable, "-c", code],
        env={**os.environ, "PYTHONPATH": str(ROOT / "src")},
        capture_output=True,
        text=True,
    )
    assert printed.stdout.strip() == "set()", printed.stderr


def test_scripts_are_thin() -> None:
    scripts = sorted((ROOT / "scripts").glob("*.py"))
    assert scripts
    lengths = {path.name: len(path.read_text(encoding="utf-8").splitlines()) for path in scripts}
    long = [f"{name}: {lines} lines" for name, lines in lengths.items() if lines >= 60]
    assert not long, "\n".join(long)
