import importlib.metadata
import json
import shutil
from functools import cache
from pathlib import Path

import pytest

from melanoma.errors import ConfigError
from melanoma.kaggle.dependencies import compute_requirements
from melanoma.kaggle.imports import imported_packages
from melanoma.kaggle.job import Mode
from melanoma.kaggle.project import project_root
from melanoma.kaggle.requirements import LIST, packages_to_bring, read_requirements

ROOT = project_root()
# What is installed stays as it is while the tests run, and is asked for a thousand times.
INSTALLED = {
    name: cache(getattr(importlib.metadata, name))
    for name in ("packages_distributions", "requires", "version")
}


@pytest.fixture
def installed(monkeypatch: pytest.MonkeyPatch) -> None:
    """The metadata of a package are parsed once."""
    for name, cached in INSTALLED.items():
        monkeypatch.setattr(importlib.metadata, name, cached)


def names(mode: Mode) -> list[str]:
    return [requirement.name for requirement in read_requirements(mode)]


@pytest.mark.usefixtures("installed")
def test_the_committed_list_is_what_the_code_needs() -> None:
    """If not: python -m melanoma.kaggle.dependencies."""
    assert (ROOT / LIST).read_text(encoding="utf-8") == compute_requirements(ROOT)


def test_training_needs_what_it_imports() -> None:
    wanted = {"lightning", "jsonargparse", "efficientnet-pytorch", "torch", "timm", "tensorboard"}
    assert wanted <= set(names("train"))
    assert wanted <= set(names("predict"))


def test_what_only_other_steps_import_stays_at_home() -> None:
    assert not {"imagehash", "pywavelets", "wandb", "pytest", "kaggle"} & set(names("train"))


def test_blending_needs_neither_torch_nor_lightning() -> None:
    assert not {"torch", "lightning", "timm", "albumentations"} & set(names("ensemble"))
    assert "jsonargparse" in names("ensemble")


def test_nothing_that_comes_with_the_images_torch_is_installed() -> None:
    assert not [name for name in names("train") if name.startswith(("nvidia", "triton", "aiohttp"))]


@pytest.mark.parametrize("mode", ["train", "predict", "ensemble"])
def test_dependencies_come_first(mode: Mode) -> None:
    place = {name: n for n, name in enumerate(names(mode))}
    assert place["typeshed-client"] < place["jsonargparse"]
    if mode != "ensemble":
        assert place["lightning-utilities"] < place["torchmetrics"] < place["lightning"]


def test_versions_are_the_pinned_ones_and_ranges_the_wanted_ones() -> None:
    known = {requirement.name: requirement for requirement in read_requirements("train")}
    assert f"lightning=={known['lightning'].version}" in (ROOT / "constraints.txt").read_text()
    assert known["lightning"].specifier == ">=2.5"
    assert known["efficientnet-pytorch"].version == "0.7.1"
    assert known["torchmetrics"].specifier == ""


def test_what_the_images_lack_is_brought() -> None:
    gpu = {requirement.name for requirement in packages_to_bring(["t4x2"])}
    tpu = {requirement.name for requirement in packages_to_bring(["tpu"])}
    assert gpu == {
        *("lightning", "jsonargparse", "efficientnet-pytorch"),
        *("docstring-parser", "typeshed-client"),
    }
    assert tpu == gpu | {"pytorch-lightning", "lightning-utilities", "torchmetrics"}
    assert {r.name for r in packages_to_bring(["cpu", "t4x2", "tpu"])} == tpu


def test_imports_are_followed_without_importing(tmp_path: Path) -> None:
    package = tmp_path / "src" / "melanoma"
    package.mkdir(parents=True)
    (package / "__init__.py").write_text("import of_the_package")
    (package / "a.py").write_text(
        "import os, json\nfrom typing import TYPE_CHECKING\nfrom melanoma import b\n"
        "if TYPE_CHECKING:\n    import for_types\n"
        "def slow():\n    import third.part\n    from melanoma import c\n"
    )
    (package / "b.py").write_text("try:\n    from fourth.x import y\nexcept ImportError:\n    pass")
    (package / "c.py").write_text("import of_an_option")
    (tmp_path / "run.py").write_text("import melanoma.a\nfrom . import nothing")
    found = imported_packages(tmp_path, [tmp_path / "run.py"])
    assert found == {"of_the_package", "third", "fourth"}


@pytest.fixture
def project(tmp_path: Path) -> Path:
    (tmp_path / "kaggle_kernel").mkdir()
    for name in (LIST, "requirements.txt", "constraints.txt"):
        shutil.copy(ROOT / name, tmp_path / name)
    return tmp_path


def test_a_list_of_other_requirements_is_refused(project: Path) -> None:
    with (project / "requirements.txt").open("a") as file:
        file.write("attrs>=20\n")
    with pytest.raises(ConfigError, match=r"made from another requirements.txt. .*-m melanoma"):
        read_requirements("train", project)


def test_a_list_of_other_versions_is_refused(project: Path) -> None:
    path = project / "constraints.txt"
    path.write_text(path.read_text().replace("docstring_parser==", "docstring_parser==9."))
    with pytest.raises(ConfigError, match=r"docstring-parser of another version than constraints"):
        packages_to_bring(["cpu"], project)


def test_on_kaggle_the_list_is_taken_as_it_is(project: Path) -> None:
    (project / "requirements.txt").unlink()
    (project / "constraints.txt").unlink()
    assert read_requirements("train", project) == read_requirements("train")


@pytest.mark.parametrize("content", ["", "[]", "{}"])
def test_a_damaged_list_is_named(project: Path, content: str) -> None:
    (project / LIST).write_text(content)
    with pytest.raises(ConfigError, match=r"requirements.json: cannot be read .* Make it again"):
        read_requirements("train", project)


@pytest.mark.usefixtures("installed")
def test_what_is_not_installed_is_named(project: Path) -> None:
    (project / "scripts").mkdir()
    (project / "scripts" / "build_submission.py").write_text("import nobody_has_this")
    with pytest.raises(ConfigError, match=r"nobody_has_this: imported, but not installed"):
        compute_requirements(project)


def test_the_list_names_no_place(project: Path) -> None:
    content = json.loads((project / LIST).read_text())
    assert content["made_by"] == "python -m melanoma.kaggle.dependencies"
