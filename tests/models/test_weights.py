import argparse
import os
import socket
import ssl
import urllib.error
from collections.abc import Callable
from email.message import Message
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import timm
import torch
from safetensors.torch import save_file
from torch import Tensor, nn

from melanoma.errors import ConfigError
from melanoma.models import published, weights
from melanoma.models.backbones import Backbone, create_backbone
from melanoma.models.weights import LoadReport, check_weights, load_weights

B0 = "efficientnet_pytorch:efficientnet-b0"
State = dict[str, Tensor]


def filled(module: nn.Module) -> State:
    """Its state, with numbers that no initialisation makes."""
    random = torch.Generator().manual_seed(7)
    return {
        name: tensor if "num_batches" in name else torch.rand(tensor.shape, generator=random) + 1
        for name, tensor in module.state_dict().items()
    }


def whole(name: str = "test_resnet", **options: object) -> State:
    return filled(timm.create_model(name, **options))


def assert_filled(backbone: Backbone, state: State, prefix: str = "") -> None:
    for name, tensor in backbone.network.state_dict().items():
        if "num_batches" not in name:
            assert torch.equal(tensor, state[prefix + name]), name


def load(path: Path, name: str = "test_resnet") -> tuple[Backbone, LoadReport]:
    backbone = create_backbone(name)
    check_weights(str(path), name)
    return backbone, load_weights(backbone, str(path), name)


def save(content: object, path: Path) -> Path:
    torch.save(content, path)
    return path


def test_none_leaves_the_network_as_it_is() -> None:
    backbone = create_backbone("test_resnet")
    before = {name: tensor.clone() for name, tensor in backbone.network.state_dict().items()}
    check_weights("none", "test_resnet")
    report = load_weights(backbone, "none", "test_resnet")
    assert_filled(backbone, before)
    assert report.as_text() == "weights: random"


@pytest.mark.parametrize("suffix", [".pth", ".pt", ".bin", ".ckpt"])
def test_a_file_of_a_whole_network_fills_the_body(tmp_path: Path, suffix: str) -> None:
    state = whole(num_classes=9)
    backbone, report = load(save(state, tmp_path / f"weights{suffix}"))
    assert_filled(backbone, state)
    assert report.skipped == ["fc.weight", "fc.bias"]
    assert report.missing == report.mismatched == []


def test_a_safetensors_file_fills_the_body(tmp_path: Path) -> None:
    state = whole()
    save_file(state, tmp_path / "model.safetensors")
    backbone, _ = load(tmp_path / "model.safetensors")
    assert_filled(backbone, state)


@pytest.mark.parametrize("name", ["test_efficientnet", "test_vit", "test_convnext", B0])
def test_the_head_of_any_network_is_skipped(tmp_path: Path, name: str) -> None:
    body = filled(create_backbone(name).network)
    head = {"_fc.weight": torch.ones(1000, 1280)} if name == B0 else {"head.fc.bias": torch.ones(5)}
    backbone, report = load(save({**body, **head}, tmp_path / "weights.pth"), name)
    assert_filled(backbone, body)
    assert report.skipped == list(head)


@pytest.mark.parametrize(
    "prefix",
    [
        "module.",
        "model.",
        "backbone.",
        "network.",
        "backbone.network.",
        "encoder.",
        "model.module.backbone.",
        "_orig_mod.",
    ],
)
def test_the_names_of_wrappers_are_taken_off(tmp_path: Path, prefix: str) -> None:
    state = {prefix + name: tensor for name, tensor in whole().items()}
    backbone, report = load(save(state, tmp_path / "weights.pth"))
    assert_filled(backbone, state, prefix)
    assert report.skipped == ["fc.weight", "fc.bias"]


def test_a_part_of_a_network_is_not_taken_for_a_wrapper(tmp_path: Path) -> None:
    class Nested(nn.Module):
        num_features = 4

        def __init__(self) -> None:
            super().__init__()
            self.network = nn.Sequential(nn.Linear(4, 4), nn.Linear(4, 4))

    backbone = Backbone(B0, Nested())
    state = filled(backbone.network)
    assert next(iter(state)) == "network.0.weight"
    for prefix in ("", "network.", "module."):
        path = save({prefix + n: t for n, t in state.items()}, tmp_path / "weights.pth")
        assert not load_weights(backbone, str(path), B0).missing
        assert_filled(backbone, state)


@pytest.mark.parametrize(
    "container", ["state_dict", "model", "model_state_dict", "state_dict_ema", "model_ema"]
)
def test_training_checkpoints_are_opened(tmp_path: Path, container: str) -> None:
    state = whole()
    content = {"epoch": 3, container: state, "args": argparse.Namespace(lr=0.1), "best": 0.9}
    backbone, _ = load(save(content, tmp_path / "checkpoint.pth"))
    assert_filled(backbone, state)


def test_averaged_weights_come_first(tmp_path: Path) -> None:
    state = whole()
    content = {"state_dict": {n: 0 * t for n, t in state.items()}, "state_dict_ema": state}
    backbone, _ = load(save(content, tmp_path / "checkpoint.pth"))
    assert_filled(backbone, state)


@pytest.mark.parametrize("prefix", ["backbone.network.", "network.backbone.network."])
def test_our_own_checkpoints_of_another_task_fill_the_body(tmp_path: Path, prefix: str) -> None:
    state = filled(create_backbone("test_resnet").network)
    content = {
        "pytorch-lightning_version": "2.6.6",
        "state_dict": {
            **{prefix + name: tensor for name, tensor in state.items()},
            "network.head.1.weight": torch.ones(9, 96),
        },
        "hyper_parameters": {"backbone": "test_resnet", "learning_rate": 0.1},
    }
    backbone, report = load(save(content, tmp_path / "best.ckpt"))
    assert_filled(backbone, state)
    assert report.skipped == ["network.head.1.weight"]


def test_half_precision_is_widened(tmp_path: Path) -> None:
    state = whole()
    backbone, _ = load(save({n: t.half() for n, t in state.items()}, tmp_path / "half.pth"))
    first = backbone.network.state_dict()["conv1.0.weight"]
    assert first.dtype == torch.float32
    torch.testing.assert_close(first, state["conv1.0.weight"].half().float())


def test_what_does_not_fit_is_reported_and_left(tmp_path: Path) -> None:
    state = whole()
    state["conv1.0.weight"] = torch.ones(1, 2, 3, 4)
    del state["bn1.weight"], state["bn1.num_batches_tracked"]
    before = create_backbone("test_resnet").network.state_dict()["bn1.weight"]
    backbone, report = load(save(state, tmp_path / "weights.pth"))
    assert report.mismatched == ["conv1.0.weight"]
    assert report.missing == ["bn1.weight"]
    assert torch.equal(backbone.network.state_dict()["bn1.weight"], before)
    n_wanted = len(report.loaded) + 2
    assert report.as_text().splitlines() == [
        f"weights from {tmp_path / 'weights.pth'}: {n_wanted - 2} of {n_wanted} tensors loaded; "
        "skipped fc.weight, fc.bias",
        "of another shape, so left random: conv1.0.weight",
        "not among them, so left random: bn1.weight",
    ]


def test_a_batch_norms_counter_is_never_missed(tmp_path: Path) -> None:
    state = {name: tensor for name, tensor in whole().items() if "num_batches" not in name}
    _, report = load(save(state, tmp_path / "weights.pth"))
    assert not report.missing
    assert not any("num_batches" in name for name in report.loaded)


def test_position_embeddings_are_adapted_to_another_size(tmp_path: Path) -> None:
    path = save(whole("test_vit3"), tmp_path / "weights.pth")
    backbone = create_backbone("test_vit3", image_size_px=96)
    before = backbone.network.pos_embed.detach().clone()  # type: ignore[operator]
    report = load_weights(backbone, str(path), "test_vit3")
    assert not report.missing
    assert not report.mismatched
    assert not torch.equal(backbone.network.pos_embed, before)  # type: ignore[arg-type]


def test_names_of_other_authors_are_converted_by_timm(tmp_path: Path) -> None:
    state = filled(create_backbone("test_convnext").network)
    theirs = [("stem.", "downsample_layers.0."), ("conv_dw", "dwconv"), ("mlp.fc", "pwconv")]
    renamed = {}
    for name, tensor in state.items():
        for ours, other in theirs:
            name = name.replace(ours, other)
        renamed[name.replace("head.norm", "norm")] = tensor
    backbone, report = load(save({"model": renamed}, tmp_path / "weights.pth"), "test_convnext")
    assert_filled(backbone, state)
    assert not report.missing


@pytest.mark.parametrize("other", ["test_convnext", "test_efficientnet", "test_vit"])
def test_weights_of_another_network_are_refused(tmp_path: Path, other: str) -> None:
    path = save(whole(other), tmp_path / "weights.pth")
    message = r"weights.pth: weights of another network. Of the \d+ tensors of test_resnet"
    with pytest.raises(ConfigError, match=message):
        check_weights(str(path), "test_resnet")
    with pytest.raises(ConfigError, match=message):
        load_weights(create_backbone("test_resnet"), str(path), "test_resnet")


def test_less_than_half_of_the_network_is_another_network(tmp_path: Path) -> None:
    state = list(whole().items())
    n_wanted = load(save(dict(state), tmp_path / "all.pth"))[1].n_wanted
    state = [(name, tensor) for name, tensor in state if "num_batches" not in name]
    load(save(dict(state[: -(-n_wanted // 2)]), tmp_path / "half.pth"))
    with pytest.raises(ConfigError, match="weights of another network"):
        load(save(dict(state[: (n_wanted - 1) // 2]), tmp_path / "less.pth"))


class Malicious:
    """Runs a command when it is unpickled."""

    def __init__(self, marker: Path) -> None:
        self.marker = marker

    def __reduce__(self) -> tuple[Callable[[str], int], tuple[str]]:
        return os.system, (f"touch {self.marker}",)


@pytest.mark.parametrize("zipped", [True, False])
def test_a_file_that_would_run_code_is_not_opened(tmp_path: Path, zipped: bool) -> None:
    marker, path = tmp_path / "marker", tmp_path / "weights.pth"
    content = {"state_dict": whole(), "extra": Malicious(marker)}
    torch.save(content, path, _use_new_zipfile_serialization=zipped)
    with pytest.raises(
        ConfigError,
        match=r"weights.pth: holds more than tensors \(posix.system\) and is not opened.*convert",
    ):
        load(path)
    assert not marker.exists()
    torch.load(path, weights_only=False)
    assert marker.exists(), "the file is harmless: the test proves nothing"


@pytest.mark.parametrize("content", [nn.Linear(2, 2), {"score": np.float64(0.9)}])
def test_whole_objects_are_not_opened(tmp_path: Path, content: object) -> None:
    with pytest.raises(ConfigError, match=r"holds more than tensors \(\S+\) and is not opened"):
        check_weights(str(save(content, tmp_path / "weights.pt")), "test_resnet")


@pytest.mark.parametrize("suffix", [".pth", ".safetensors"])
@pytest.mark.parametrize("damage", ["truncated", "empty", "page"])
def test_a_damaged_file_is_named(tmp_path: Path, suffix: str, damage: str) -> None:
    path = tmp_path / f"weights{suffix}"
    write = save_file if suffix == ".safetensors" else torch.save
    write(whole(), path)
    content = path.read_bytes()
    page = b"<!DOCTYPE html><html>Sign in"
    damaged = {"truncated": content[: len(content) // 2], "empty": b"", "page": page}
    path.write_bytes(damaged[damage])
    with pytest.raises(ConfigError, match=rf"{path}: cannot be read .* Copy or download it again"):
        check_weights(str(path), "test_resnet")


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"weights.pth: no such file. Give none, imagenet, or"):
        check_weights(str(tmp_path / "weights.pth"), "test_resnet")
    with pytest.raises(ConfigError, match=r"imagnet: no such file.* Did you mean imagenet\?"):
        check_weights("imagnet", "test_resnet")
    with pytest.raises(ConfigError, match="no such file"):
        check_weights(str(tmp_path), "test_resnet")


def test_an_unknown_kind_of_file_is_named(tmp_path: Path) -> None:
    (tmp_path / "weights.h5").touch()
    with pytest.raises(ConfigError, match=r"weights.h5: not known as weights .*\.safetensors"):
        check_weights(str(tmp_path / "weights.h5"), "test_resnet")


@pytest.mark.parametrize("content", [{}, {"epoch": 3}, [1, 2], {"state_dict": {}}])
def test_a_file_without_weights_is_named(tmp_path: Path, content: object) -> None:
    path = save(content, tmp_path / "weights.pth")
    with pytest.raises(ConfigError, match=r"weights.pth: holds no weights"):
        check_weights(str(path), "test_resnet")


@pytest.fixture
def offline(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """No internet, and nothing in a cache."""

    def refuse(*_: object, **__: object) -> None:
        raise urllib.error.URLError("no route to host")

    monkeypatch.setattr("urllib.request.urlopen", refuse)
    monkeypatch.setattr(published, "try_to_load_from_cache", lambda *_, **__: None)
    monkeypatch.setattr("torch.hub.get_dir", lambda: str(tmp_path))


@pytest.mark.usefixtures("offline")
@pytest.mark.parametrize(
    ("name", "file"),
    [
        (
            "resnet10t",
            r"get model.safetensors of the Hugging Face repository timm/resnet10t.c3_in1k "
            r"\(https://huggingface.co/timm/resnet10t.c3_in1k/resolve/main/model.safetensors or "
            r"https://github.com/.*/resnet10t_176_c3-f3215ab1.pth\), .*"
            r"--model.weights /path/to/model.safetensors",
        ),
        (
            B0,
            r"get efficientnet-b0-355c32eb.pth \(https://github.com/lukemelas/.*\), .*"
            r"--model.weights /path/to/efficientnet-b0-355c32eb.pth",
        ),
        ("gcvit_xxtiny", r"get gcvit_xxtiny\S+.pth .* /path/to/gcvit_xxtiny\S+.pth"),
    ],
)
def test_offline_the_file_that_is_needed_is_named(name: str, file: str) -> None:
    with pytest.raises(
        ConfigError,
        match=rf"weights of {name} cannot be had \(URLError: .*no route to host.*\).*{file};",
    ):
        check_weights("imagenet", name)


def test_a_hub_that_breaks_off_is_a_message(monkeypatch: pytest.MonkeyPatch) -> None:
    class ConnectError(Exception):
        """As httpx's, which is no OSError."""

    def break_off(*_: object, **__: object) -> None:
        raise ConnectError("connection reset")

    monkeypatch.setattr(published, "_is_cached", lambda *_: True)
    monkeypatch.setattr("timm.models._builder.load_state_dict_from_hf", break_off)
    with pytest.raises(ConfigError, match=r"cannot be had \(ConnectError: connection reset\)"):
        load_weights(create_backbone("test_resnet"), "imagenet", "test_resnet")


NOT_SO = urllib.error.HTTPError("https://hub", 405, "not so", Message(), None)
NOT_TRUSTED = urllib.error.URLError(ssl.SSLCertVerificationError("no certificates"))


@pytest.fixture(params=[NOT_SO, NOT_TRUSTED], ids=["not so", "not trusted"])
def hub(monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest) -> dict[str, State]:
    """A hub of made weights, by the repository; it answers, but not kindly to a knock."""
    states: dict[str, State] = {}

    def answer(*_: object, **__: object) -> None:
        raise request.param

    monkeypatch.setattr("urllib.request.urlopen", answer)
    monkeypatch.setattr(published, "try_to_load_from_cache", lambda *_, **__: None)
    monkeypatch.setattr(
        "timm.models._builder.load_state_dict_from_hf",
        lambda repository, **_: states[repository],
    )
    return states


@pytest.mark.parametrize("name", ["test_resnet", "test_vit3", "test_convnext.r160_in1k"])
def test_imagenet_weights_are_timms(hub: dict[str, State], name: str) -> None:
    state = whole(name)
    hub[f"timm/{name.partition('.')[0]}.r160_in1k"] = dict(state)
    check_weights("imagenet", name)
    backbone = create_backbone(name)
    report = load_weights(backbone, "imagenet", name)
    assert_filled(backbone, state)
    assert not report.missing
    assert len(report.skipped) == 2
    assert report.as_text().startswith("weights from imagenet: ")


def test_imagenet_weights_are_adapted_to_another_size_by_timm(
    hub: dict[str, State], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(weights, "_converted", lambda _, state: state)
    hub["timm/test_vit3.r160_in1k"] = whole("test_vit3")
    backbone = create_backbone("test_vit3", image_size_px=96)
    report = load_weights(backbone, "imagenet", "test_vit3")
    assert not report.missing
    assert not report.mismatched


def test_incomplete_imagenet_weights_are_refused(hub: dict[str, State]) -> None:
    state = whole()
    del state["bn1.weight"]
    hub["timm/test_resnet.r160_in1k"] = state
    with pytest.raises(ConfigError, match=r"cannot be had \(RuntimeError: .*bn1.weight"):
        check_weights("imagenet", "test_resnet")


def test_imagenet_weights_are_efficientnet_pytorchs(
    hub: dict[str, State], monkeypatch: pytest.MonkeyPatch
) -> None:
    state = filled(create_backbone(B0).network)
    asked: dict[str, Any] = {}

    def download(url: str, **options: object) -> State:
        asked.update(options, url=url)
        return {**state, "_fc.weight": torch.ones(1000, 1280), "_fc.bias": torch.ones(1000)}

    monkeypatch.setattr("torch.hub.load_state_dict_from_url", download)
    backbone = create_backbone(B0)
    report = load_weights(backbone, "imagenet", B0)
    assert_filled(backbone, state)
    assert report.skipped == ["_fc.weight", "_fc.bias"]
    assert asked["url"].endswith("/efficientnet-b0-355c32eb.pth")
    assert asked["weights_only"] is True


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("convnext_atto_rms", r"no published weights of convnext_atto_rms.* Did you mean convnext"),
        ("efficientnet_pytorch:efficientnet-b8", "no published weights of efficientnet_pytorch"),
    ],
)
def test_networks_without_published_weights_are_named(name: str, message: str) -> None:
    with pytest.raises(ConfigError, match=rf"--model.weights imagenet: .*{message}"):
        check_weights("imagenet", name)


def test_no_connection_waits_for_ever(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[float | None] = []

    def download(*_: object, **__: object) -> State:
        seen.append(socket.getdefaulttimeout())
        raise OSError("too slow")

    monkeypatch.setattr(published, "_reach", lambda _: None)
    monkeypatch.setattr("torch.hub.load_state_dict_from_url", download)
    with pytest.raises(ConfigError, match="too slow"):
        check_weights("imagenet", B0)
    assert seen == [10.0]
    assert socket.getdefaulttimeout() is None
