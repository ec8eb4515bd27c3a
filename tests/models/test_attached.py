import os
from collections.abc import Callable
from pathlib import Path

import pytest
import timm
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

from melanoma.errors import ConfigError
from melanoma.models import published
from melanoma.models.__main__ import main
from melanoma.models.attached import VARIABLE, find_attached, weights_name
from melanoma.models.backbones import create_backbone
from melanoma.models.weights import check_weights, load_weights

B0 = "efficientnet_pytorch:efficientnet-b0"
Save = Callable[[dict[str, Tensor], Path], None]


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder that is looked in, the second of two; and no internet."""

    def refuse(*_: object, **__: object) -> None:
        raise AssertionError("the network was touched")

    monkeypatch.setattr("socket.socket.connect", refuse)
    monkeypatch.setattr(published, "_reach", refuse)
    monkeypatch.setattr(published, "_download", refuse)
    monkeypatch.setenv(VARIABLE, os.pathsep.join(["", str(tmp_path / "none"), str(tmp_path)]))
    return tmp_path


def made(name: str) -> dict[str, Tensor]:
    """The state of a network with its published head, of numbers that no initialisation makes."""
    if name == B0:
        state = create_backbone(B0).network.state_dict()
        state |= {"_fc.weight": torch.ones(1000, 1280), "_fc.bias": torch.ones(1000)}
    else:
        state = timm.create_model(name).state_dict()
    return {n: t if "num_batches" in n else torch.full_like(t, 0.25) for n, t in state.items()}


@pytest.mark.parametrize("name", ["test_resnet", "test_convnext.r160_in1k", "test_vit3", B0])
@pytest.mark.parametrize("suffix", [".safetensors", ".pth", ".bin"])
def test_weights_brought_along_are_taken(folder: Path, name: str, suffix: str) -> None:
    save: Save = save_file if suffix == ".safetensors" else torch.save
    save(made(name), (folder / weights_name(name)).with_suffix("").with_name(
        weights_name(name).removesuffix(".safetensors") + suffix))  # fmt: skip
    check_weights("imagenet", name)
    backbone = create_backbone(name)
    report = load_weights(backbone, "imagenet", name)
    assert not report.missing
    assert len(report.skipped) == 2
    for key, tensor in backbone.network.state_dict().items():
        assert "num_batches" in key or bool((tensor == 0.25).all()), key


def test_they_are_adapted_to_another_size(folder: Path) -> None:
    save_file(made("test_vit3"), folder / weights_name("test_vit3"))
    backbone = create_backbone("test_vit3", image_size_px=96)
    assert not load_weights(backbone, "imagenet", "test_vit3").mismatched


@pytest.mark.parametrize(
    ("name", "file"),
    [(B0, "efficientnet-b0-355c32eb.pth"), ("resnet10t", "resnet10t_176_c3-f3215ab1.pth")],
)
def test_the_file_as_it_was_published_is_known_by_its_own_name(
    folder: Path, name: str, file: str
) -> None:
    torch.save(made(name), folder / file)
    check_weights("imagenet", name)


def test_a_name_that_many_networks_share_is_nobodys(folder: Path) -> None:
    save_file(made("resnet10t"), folder / "model.safetensors")
    assert published._published("resnet10t").own_name != "model.safetensors"
    assert find_attached("resnet10t", published._published("resnet10t").own_name) is None


def test_the_first_folder_comes_first(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in "ba":
        (tmp_path / name).mkdir()
        (tmp_path / name / "resnet18.pth").touch()
    monkeypatch.setenv(VARIABLE, f"{tmp_path / 'b'}{os.pathsep}{tmp_path / 'a'}")
    assert find_attached("resnet18") == tmp_path / "b" / "resnet18.pth"
    monkeypatch.delenv(VARIABLE)
    assert find_attached("resnet18") is None


@pytest.mark.parametrize("name", ["test_resnet", B0])
@pytest.mark.parametrize("damage", ["truncated", "other network", "code"])
def test_a_file_that_is_no_such_weights_is_named(folder: Path, name: str, damage: str) -> None:
    path = folder / weights_name(name)
    if damage == "truncated":
        save_file(made(name), path)
        path.write_bytes(path.read_bytes()[:1000])
    elif damage == "code":
        path = path.with_suffix(".pth")
        torch.save(torch.nn.Linear(2, 2), path)
    else:
        save_file(made("test_vit3"), path)
    with pytest.raises(ConfigError, match=r"does not hold the published weights|another network"):
        check_weights("imagenet", name)


def test_what_is_saved_is_found(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    state = made(B0)
    shared = state["_fc.bias"]
    monkeypatch.setattr(published, "imagenet_state", lambda _: {**state, "again": shared})
    assert main(["--backbone", B0, "--output-dir", str(folder / "new")]) == 0
    path = folder / "new" / "efficientnet_pytorch_efficientnet-b0.safetensors"
    assert capsys.readouterr().out == f"{path}\n"
    assert torch.equal(load_file(path)["_fc.weight"], state["_fc.weight"])
    assert os.listdir(path.parent) == [path.name]


def test_what_cannot_be_had_is_a_message(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    assert main(["--backbone", "gcvit_nothing", "--output_dir", str(tmp_path)]) == 2
    assert "no published weights of gcvit_nothing" in capsys.readouterr().err
    assert not list(tmp_path.iterdir())
