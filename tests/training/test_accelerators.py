from typing import Any

import pytest
import torch
from lightning.pytorch.accelerators import CUDAAccelerator, XLAAccelerator

from melanoma.errors import ConfigError
from melanoma.models.acceleration import ACCELERATORS
from melanoma.training import accelerators
from melanoma.training.accelerators import check_accelerator, check_switches, found_devices


@pytest.fixture(autouse=True)
def processor_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    """A machine with a processor of two cores and nothing else."""
    for name, kind in ACCELERATORS.items():
        monkeypatch.setattr(kind, "is_available", staticmethod(lambda there=name == "cpu": there))
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 0)
    monkeypatch.setattr(accelerators, "available_cores", lambda: {0, 1})
    monkeypatch.setattr(accelerators, "_installed_xla", lambda: None)


def with_gpus(monkeypatch: pytest.MonkeyPatch, count: int) -> None:
    monkeypatch.setattr(CUDAAccelerator, "is_available", staticmethod(lambda: True))
    monkeypatch.setattr(CUDAAccelerator, "auto_device_count", staticmethod(lambda: count))
    monkeypatch.setattr(torch.cuda, "device_count", lambda: count)
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda _: "Tesla T4")
    devices = "lightning.fabric.utilities.device_parser._get_all_visible_cuda_devices"
    monkeypatch.setattr(devices, lambda: list(range(count)), raising=False)
    monkeypatch.setattr(
        "lightning.fabric.accelerators.cuda._get_all_visible_cuda_devices",
        lambda: list(range(count)),
    )


def with_tpu(monkeypatch: pytest.MonkeyPatch, count: int) -> None:
    major_minor = ".".join(torch.__version__.split(".")[:2])
    monkeypatch.setattr(accelerators, "_installed_xla", lambda: f"{major_minor}.0")
    monkeypatch.setattr(XLAAccelerator, "is_available", staticmethod(lambda: True))
    # Lightning's parser asks the class above.
    for kind in (XLAAccelerator, XLAAccelerator.__mro__[2]):
        monkeypatch.setattr(kind, "auto_device_count", staticmethod(lambda: count))
    monkeypatch.setattr(accelerators, "_tpu_chips", lambda: count)
    monkeypatch.setenv("PJRT_DEVICE", "TPU")


@pytest.mark.parametrize("accelerator", ["auto", "cpu", None])
@pytest.mark.parametrize("devices", ["auto", 1, 3, None])
def test_a_processor_is_always_there(accelerator: str | None, devices: Any) -> None:
    check_accelerator({"accelerator": accelerator, "devices": devices})


@pytest.mark.parametrize("accelerator", ["gpu", "cuda", "mps"])
def test_a_gpu_that_is_not_there_is_told_with_what_is(accelerator: str) -> None:
    message = (
        rf"--trainer.accelerator {accelerator}: none was found here, but a processor with 2 core"
        r".*Give --trainer.accelerator auto"
    )
    with pytest.raises(ConfigError, match=message):
        check_accelerator({"accelerator": accelerator})
    with pytest.raises(ConfigError, match=rf"^--accelerator {accelerator}: .*Give --accelerator"):
        check_accelerator({"accelerator": accelerator}, prefix="--")


def test_a_torch_without_cuda_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.version, "cuda", None)
    with pytest.raises(ConfigError, match=r"The installed torch is built without CUDA"):
        check_accelerator({"accelerator": "gpu"})


@pytest.mark.parametrize("devices", [3, "3", "2", [0, 5], "0,2"])
@pytest.mark.parametrize("accelerator", ["gpu", "auto"])
def test_more_gpus_than_there_are(
    monkeypatch: pytest.MonkeyPatch, accelerator: str, devices: Any
) -> None:
    with_gpus(monkeypatch, 2)
    if devices == "2":  # as many as there are
        check_accelerator({"accelerator": accelerator, "devices": devices})
        return
    with pytest.raises(ConfigError, match=r"--trainer.devices .*: there is 2 GPU.*at most 2, or"):
        check_accelerator({"accelerator": accelerator, "devices": devices})


@pytest.mark.parametrize("devices", ["auto", None, -1, "-1", 1, [1], "0,1"])
def test_gpus_that_are_there(monkeypatch: pytest.MonkeyPatch, devices: Any) -> None:
    with_gpus(monkeypatch, 2)
    check_accelerator({"accelerator": "gpu", "devices": devices})
    assert found_devices() == "2 GPU(s) (Tesla T4) and a processor with 2 core(s)"


def test_a_tpu_needs_torch_xla() -> None:
    message = (
        r"--trainer.accelerator tpu: needs torch_xla, .*requirements-tpu.txt.* Found here: a p"
    )
    with pytest.raises(ConfigError, match=message):
        check_accelerator({"accelerator": "tpu"})


def test_a_tpu_that_is_not_there(monkeypatch: pytest.MonkeyPatch) -> None:
    with_tpu(monkeypatch, 8)
    monkeypatch.setattr(XLAAccelerator, "is_available", staticmethod(lambda: False))
    with_gpus(monkeypatch, 1)
    message = r"accelerator tpu: none was found here, but 1 GPU\(s\) \(Tesla T4\) and a processor"
    with pytest.raises(ConfigError, match=message):
        check_accelerator({"accelerator": "tpu"})


def test_a_tpu_without_its_library(monkeypatch: pytest.MonkeyPatch) -> None:
    with_tpu(monkeypatch, 8)
    monkeypatch.setenv("PJRT_DEVICE", "CPU")  # as torch_xla does then
    message = r"there are 8 TPU chips, but PyTorch/XLA would use CPU .*libtpu.* is missing"
    with pytest.raises(ConfigError, match=message):
        check_accelerator({"accelerator": "tpu"})


@pytest.mark.parametrize("accelerator", ["cpu", "auto", "tpu"])
def test_versions_that_do_not_belong_together(
    monkeypatch: pytest.MonkeyPatch, accelerator: str
) -> None:
    monkeypatch.setattr(accelerators, "_installed_xla", lambda: "2.6.1+libtpu")
    monkeypatch.setattr(torch, "__version__", "2.9.1+cu128")
    message = (
        r"torch 2\.9\.1\+cu128 and torch_xla 2\.6\.1\+libtpu do not belong together.*uninstall"
    )
    with pytest.raises(ConfigError, match=message):
        check_accelerator({"accelerator": accelerator})


def test_versions_that_belong_together(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(accelerators, "_installed_xla", lambda: "2.8.0")
    monkeypatch.setattr(torch, "__version__", "2.8.1+cpu")
    check_accelerator({"accelerator": "cpu"})


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (
            {"devices": 4},
            r"--trainer.devices 4: there is 8 TPU core\(s\) here. Give 1 or 8, or auto",
        ),
        ({"devices": -1}, r"--trainer.devices -1: .*Give 1 or 8"),
        ({"devices": "none"}, r"--trainer.devices none: .*Give 1 or 8"),
        ({"precision": "16-mixed"}, r"--trainer.precision 16-mixed: not on TPUs. Choose bf16"),
        ({"precision": "bf16-true"}, r"--trainer.precision bf16-true: not on TPUs"),
        ({"strategy": "ddp"}, r"--trainer.strategy ddp: not on TPUs.*Leave the option out"),
    ],
)
def test_what_a_tpu_cannot_do(
    monkeypatch: pytest.MonkeyPatch, options: dict[str, Any], message: str
) -> None:
    with_tpu(monkeypatch, 8)
    with pytest.raises(ConfigError, match=message):
        check_accelerator({"accelerator": "tpu", **options})


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"devices": 8, "precision": "bf16-mixed"},
        {"devices": "1", "precision": 32, "strategy": "auto"},
        {"devices": [7], "precision": "32-true"},
    ],
)
def test_what_a_tpu_can_do(monkeypatch: pytest.MonkeyPatch, options: dict[str, Any]) -> None:
    with_tpu(monkeypatch, 8)
    check_accelerator({"accelerator": "tpu", **options})
    assert found_devices() == "8 TPU core(s) and a processor with 2 core(s)"


def test_an_accelerator_made_elsewhere_is_left_to_its_maker() -> None:
    check_accelerator({"accelerator": ACCELERATORS["cpu"]()})


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("torch_compile", True, r"--model.torch_compile true: not on TPUs.*Leave the option out"),
        ("fused_optimizer", True, r"--model.fused_optimizer true: not on TPUs"),
        ("cutmix_alpha", 1.0, r"--model.cutmix_alpha 1.0: not on TPUs.*mixup_alpha"),
    ],
)
def test_what_pytorch_xla_cannot_compile(name: str, value: object, message: str) -> None:
    model = {"torch_compile": None, "fused_optimizer": False, "cutmix_alpha": 0.0}
    for accelerator in ("tpu", "cpu", "auto"):
        check_switches({"accelerator": accelerator}, model)
    check_switches({"accelerator": "cpu"}, {**model, name: value})
    with pytest.raises(ConfigError, match=message):
        check_switches({"accelerator": "tpu"}, {**model, name: value})


def test_machines_that_nobody_joins_are_not_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("MASTER_ADDR", "SLURM_NTASKS", "TORCHELASTIC_RUN_ID"):
        monkeypatch.delenv(name, raising=False)
    with pytest.raises(
        ConfigError, match=r"num_nodes 2: nothing here says where the other machines"
    ):
        check_accelerator({"accelerator": "cpu", "num_nodes": 2})
    check_accelerator({"accelerator": "cpu", "num_nodes": 1})
    monkeypatch.setenv("MASTER_ADDR", "10.0.0.1")
    check_accelerator({"accelerator": "cpu", "num_nodes": 2})
