import io
import json
import subprocess
import sys
import tarfile
from pathlib import Path
from typing import Any

import pytest

from melanoma.errors import ConfigError, MelanomaError
from melanoma.kaggle import wheels
from melanoma.kaggle.job import Requirement, project_root
from melanoma.kaggle.recipe import Recipe
from melanoma.kaggle.wheels import WheelError, WheelOptions, build_wheels, pip_command

CONFIG = str(project_root() / "configs" / "baseline.yaml")
OURS = [Requirement("tiny-pure", "1.0"), Requirement("efficientnet-pytorch", "0.7.1", "==0.7.1")]

# A build backend of its own, so that a source distribution becomes a wheel without the internet.
BACKEND = """
import zipfile
TAG = "{tag}"
def build_wheel(folder, config_settings=None, metadata_directory=None):
    name = "tiny_pure-1.0-" + TAG + ".whl"
    with zipfile.ZipFile(folder + "/" + name, "w") as wheel:
        wheel.writestr("tiny_pure.py", "")
        info = "tiny_pure-1.0.dist-info/"
        wheel.writestr(info + "METADATA", "Metadata-Version: 2.1\\nName: tiny-pure\\nVersion: 1.0\\n")
        wheel.writestr(info + "WHEEL", "Wheel-Version: 1.0\\nRoot-Is-Purelib: true\\nTag: " + TAG)
        wheel.writestr(info + "RECORD", "")
    return name
"""
PYPROJECT = """
[build-system]
requires = []
build-backend = "backend"
backend-path = ["."]
"""


@pytest.fixture
def pip(monkeypatch: pytest.MonkeyPatch) -> list[list[str]]:
    """A pip that makes an empty wheel of each; its command lines."""
    called: list[list[str]] = []

    def run(command: list[str], **_: Any) -> "subprocess.CompletedProcess[str]":
        called.append(command)
        folder = Path(command[command.index("--wheel-dir") + 1])
        for name, version in (word.split("==") for word in command if "==" in word):
            (folder / f"{name.replace('-', '_')}-{version}-py3-none-any.whl").write_bytes(b"zip")
        return subprocess.CompletedProcess(command, 0)

    monkeypatch.setattr(wheels, "run_child", run)
    return called


def options(tmp_path: Path, **given: Any) -> WheelOptions:
    return WheelOptions(**{"id": "me/melanoma-wheels", "output_dir": tmp_path / "wheels", **given})


def test_the_command_is_exact_and_takes_no_dependencies() -> None:
    command = pip_command(OURS, Path("build/wheels"))
    assert command[1:4] == ["-m", "pip", "wheel"]
    assert "--no-deps" in command
    assert command[-2:] == ["tiny-pure==1.0", "efficientnet-pytorch==0.7.1"]
    assert not any("only-binary" in word for word in command)


def test_what_the_images_lack_lies_flat_beside_its_metadata(
    tmp_path: Path, pip: list[list[str]]
) -> None:
    built = build_wheels(options(tmp_path, accelerators=("t4x2",)))
    assert "lightning-2.6.6-py3-none-any.whl" in built.files
    assert "torchmetrics-1.9.0-py3-none-any.whl" not in built.files
    assert sorted([*built.files, "dataset-metadata.json"]) == sorted(
        path.name for path in built.folder.iterdir()
    )
    assert json.loads((built.folder / "dataset-metadata.json").read_text()) == {
        "title": "melanoma wheels",
        "id": "me/melanoma-wheels",
        "licenses": [{"name": "other"}],
    }
    assert built.as_text().startswith("me/melanoma-wheels, 15 bytes:\n    ")
    assert len(pip) == 1


def test_what_an_earlier_call_left_is_replaced(tmp_path: Path, pip: list[list[str]]) -> None:
    first = build_wheels(options(tmp_path))
    (first.folder / "old-1.0-py3-none-any.whl").touch()
    assert build_wheels(options(tmp_path)).files == first.files


def test_the_files_of_somebody_else_are_left(tmp_path: Path, pip: list[list[str]]) -> None:
    (tmp_path / "wheels").mkdir()
    (tmp_path / "wheels" / "thesis.tex").touch()
    with pytest.raises(ConfigError, match=r"--output_dir .*: has files in it, and is no dataset"):
        build_wheels(options(tmp_path))
    assert (tmp_path / "wheels" / "thesis.tex").exists()


def answer(monkeypatch: pytest.MonkeyPatch, weights: str) -> None:
    recipe = Recipe(Path("d"), Path("f"), "fold", None, "resnet10t", weights)
    monkeypatch.setattr(wheels, "resolve_recipe", lambda *_: recipe)


def test_the_weights_of_a_recipe_are_fetched_in_a_process(
    tmp_path: Path, pip: list[list[str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    answer(monkeypatch, "imagenet")
    monkeypatch.setattr(wheels, "_run_pip", lambda *_: None)
    pip_like: Any = vars(wheels)["run_child"]

    def run(command: list[str], **given: Any) -> Any:
        return pip_like([*command, "--wheel-dir", str(tmp_path)], **given)

    monkeypatch.setattr(wheels, "run_child", run)
    build_wheels(options(tmp_path, config=CONFIG))
    assert pip[0][1:5] == ["-m", "melanoma.models", "--backbone", "resnet10t"]
    assert pip[0][6] == str(tmp_path / "wheels")


def test_a_recipe_without_published_weights_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    answer(monkeypatch, "none")
    with pytest.raises(ConfigError, match=r"starts from weights none, so there are no published"):
        build_wheels(options(tmp_path, config=CONFIG))


def test_mistakes_are_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"--id me/w: Kaggle takes 6 to 50 characters"):
        build_wheels(options(tmp_path, id="me/w"))
    with pytest.raises(ConfigError, match=r"--id wheels: not understood"):
        build_wheels(options(tmp_path, id="wheels"))
    with pytest.raises(ConfigError, match=r"--accelerators p100: not known. Choose from cpu, t4x2"):
        build_wheels(options(tmp_path, accelerators=("tpu", "p100")))


def failing(monkeypatch: pytest.MonkeyPatch) -> None:
    def run(*_: Any, **__: Any) -> "subprocess.CompletedProcess[str]":
        return subprocess.CompletedProcess([], 1)

    monkeypatch.setattr(wheels, "run_child", run)


def test_where_pip_fails_it_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    failing(monkeypatch)
    with pytest.raises(WheelError, match=r"pip has failed with exit code 1; the reason is above"):
        build_wheels(options(tmp_path))


def test_where_weights_cannot_be_had_it_is_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    answer(monkeypatch, "imagenet")
    monkeypatch.setattr(wheels, "_run_pip", lambda *_: None)
    failing(monkeypatch)
    with pytest.raises(MelanomaError, match=r"the weights of resnet10t cannot be had"):
        build_wheels(options(tmp_path, config=CONFIG))


def publish(folder: Path, tag: str) -> None:
    files = {"pyproject.toml": PYPROJECT, "backend.py": BACKEND.replace("{tag}", tag)}
    files["PKG-INFO"] = "Metadata-Version: 2.1\nName: tiny-pure\nVersion: 1.0\n"
    folder.mkdir()
    with tarfile.open(folder / "tiny-pure-1.0.tar.gz", "w:gz") as archive:
        for name, text in files.items():
            entry = tarfile.TarInfo(f"tiny-pure-1.0/{name}")
            entry.size = len(text)
            archive.addfile(entry, io.BytesIO(text.encode()))


@pytest.mark.parametrize("tag", ["py3-none-any", "cp312-cp312-linux_x86_64"])
def test_a_real_pip_builds_what_is_published_as_source_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, tag: str
) -> None:
    tag = tag.replace("cp312", f"cp{sys.version_info.major}{sys.version_info.minor}")
    publish(tmp_path / "index", tag)
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(tmp_path / "index"))
    monkeypatch.setattr(wheels, "packages_to_bring", lambda _: OURS[:1])
    if tag == "py3-none-any":
        assert list(build_wheels(options(tmp_path)).files) == ["tiny_pure-1.0-py3-none-any.whl"]
        return
    with pytest.raises(WheelError, match=r"tiny_pure-1.0-cp.*whl: compiled for one Python and"):
        build_wheels(options(tmp_path))
