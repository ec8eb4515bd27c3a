import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from melanoma.errors import ConfigError
from melanoma.kaggle.job import ACCELERATORS
from melanoma.kaggle.metadata import FILE, Attached, kernel_metadata
from melanoma.kaggle.project import project_root

ATTACHED = Attached(["me/wheels"], ["siim"], ["me/fold-0"], ["a/b/c/d/1"])


def written(accelerator: str = "t4x2", root: Path | None = None, **given: Any) -> dict[str, Any]:
    text = kernel_metadata(
        "me/melanoma-b0",
        "melanoma b0",
        "melanoma-b0.py",
        accelerator,
        given.get("internet", False),
        given.get("private", True),
        given.get("attached", ATTACHED),
        root,
    )
    content: dict[str, Any] = json.loads(text)
    return content


@pytest.mark.parametrize(
    ("accelerator", "shape", "gpu", "tpu"),
    [
        ("cpu", "", False, False),
        ("t4x2", "NvidiaTeslaT4", True, False),
        ("tpu", "TpuV5E8", False, True),
    ],
)
def test_the_machine_is_named_in_both_ways(
    accelerator: str, shape: str, gpu: bool, tpu: bool
) -> None:
    content = written(accelerator)
    assert content["machine_shape"] == shape
    assert (content["enable_gpu"], content["enable_tpu"]) == (gpu, tpu)


@pytest.mark.parametrize("accelerator", sorted(ACCELERATORS))
@pytest.mark.parametrize("internet", [True, False])
@pytest.mark.parametrize("private", [True, False])
def test_every_field_is_written(accelerator: str, internet: bool, private: bool) -> None:
    content = written(accelerator, internet=internet, private=private, attached=Attached())
    assert content["enable_internet"] is internet
    assert content["is_private"] is private
    assert (content["language"], content["kernel_type"]) == ("python", "script")
    # An image named here would win over the machine.
    assert "docker_image" not in content
    assert len(content) == 15


def test_what_is_attached_is_listed() -> None:
    content = written()
    assert content["dataset_sources"] == ["me/wheels"]
    assert content["competition_sources"] == ["siim"]
    assert content["kernel_sources"] == ["me/fold-0"]
    assert content["model_sources"] == ["a/b/c/d/1"]


@pytest.mark.parametrize("change", ["lacks", "has"])
def test_a_template_with_other_fields_is_refused(tmp_path: Path, change: str) -> None:
    template = tmp_path / "kaggle_kernel" / FILE
    template.parent.mkdir()
    shutil.copy(project_root() / "kaggle_kernel" / FILE, template)
    content = json.loads(template.read_text())
    if change == "lacks":
        del content["enable_internet"]
    else:
        content["colour"] = "red"
    template.write_text(json.dumps(content))
    with pytest.raises(ConfigError, match=r"(enable_internet|colour) is missing or not known"):
        written(root=tmp_path)


def test_a_missing_template_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"kernel-metadata.json: no such file. A kernel is built"):
        written(root=tmp_path)
