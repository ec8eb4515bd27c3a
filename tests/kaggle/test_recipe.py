import subprocess
from pathlib import Path
from typing import Any

import pytest

from melanoma.errors import ConfigError, RunError
from melanoma.kaggle import recipe
from melanoma.kaggle.job import project_root
from melanoma.kaggle.recipe import Recipe, resolve_recipe

pytestmark = pytest.mark.usefixtures("warm")

CONFIG = str(project_root() / "configs" / "baseline.yaml")


def test_a_recipe_is_resolved_as_training_would() -> None:
    overrides = ["--model.weights=none", "--data.folds-csv", "my folds.csv"]
    assert resolve_recipe(CONFIG, overrides, "all") == Recipe(
        data_dir=Path("input/siim-isic-melanoma-classification"),
        folds_csv=Path("my folds.csv"),
        fold_column="fold",
        external_csv=None,
        backbone="efficientnet_pytorch:efficientnet-b0",
        weights="none",
    )


def test_what_training_refuses_is_refused_in_its_words() -> None:
    with pytest.raises(
        ConfigError, match=r"train_folds.py refuses .*baseline.yaml: --model.backbone"
    ):
        resolve_recipe(CONFIG, ["--model.backbone=resnet81"], "0")


def answer(monkeypatch: pytest.MonkeyPatch, code: int, out: str = "", err: str = "") -> None:
    def run(*_: Any, **__: Any) -> "subprocess.CompletedProcess[str]":
        return subprocess.CompletedProcess([], code, out, err)

    monkeypatch.setattr(recipe, "run_child", run)


def test_the_message_of_the_parser_is_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    answer(monkeypatch, 2, err="usage: x [-h]\nerror: Unrecognized arguments: --x")
    with pytest.raises(ConfigError, match=r"baseline.yaml: Unrecognized arguments: --x$"):
        resolve_recipe(CONFIG, ["--x"], "0")


@pytest.mark.parametrize("err", ["Traceback\nModuleNotFoundError: no torch\n", ""])
def test_an_environment_without_torch_is_named(monkeypatch: pytest.MonkeyPatch, err: str) -> None:
    answer(monkeypatch, 1, err=err)
    with pytest.raises(
        RunError, match=r"does not run here \((Modul.*torch|no message)\).*make setup"
    ):
        resolve_recipe(CONFIG, [], "0")


def test_a_missing_recipe_is_named() -> None:
    with pytest.raises(ConfigError, match=r"--config configs/no.yaml: no such file"):
        resolve_recipe("configs/no.yaml", [], "0")
