from pathlib import Path

import pytest

from melanoma.errors import ConfigError
from melanoma.kaggle.job import ACCELERATORS
from melanoma.kaggle.machine import Machine, check_machine, look_at_machine

T4 = "Tesla T4"
P100 = "Tesla P100-PCIE-16GB"


@pytest.fixture(autouse=True)
def bare(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delenv("ISTPUVM", raising=False)
    monkeypatch.setenv("PATH", str(tmp_path))


def nvidia_smi(folder: Path, text: str, code: int = 0) -> None:
    program = folder / "nvidia-smi"
    program.write_text(f"#!/bin/sh\nprintf '{text}'\nexit {code}\n")
    program.chmod(0o755)


@pytest.mark.parametrize(
    ("text", "code", "gpus"),
    [
        (f"GPU 0: {T4} (UUID: GPU-1)\\nGPU 1: {T4} (UUID: GPU-2)\\n", 0, (T4, T4)),
        (f"GPU 0: {P100} (UUID: GPU-1)\\n", 0, (P100,)),
        ("NVIDIA-SMI has failed: no driver\\n", 9, ()),
        ("GPU 0: NVIDIA L4\\n", 0, ("NVIDIA L4",)),
    ],
)
def test_gpus_are_named(tmp_path: Path, text: str, code: int, gpus: tuple[str, ...]) -> None:
    nvidia_smi(tmp_path, text, code)
    assert look_at_machine(tmp_path) == Machine(gpus, False)


@pytest.mark.parametrize("device", ["accel0", "vfio/0"])
def test_a_tpu_is_known_by_its_device(tmp_path: Path, device: str) -> None:
    (tmp_path / device).parent.mkdir(exist_ok=True)
    (tmp_path / device).touch()
    assert look_at_machine(tmp_path).is_tpu


def test_a_tpu_is_known_by_its_image(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "vfio").mkdir()
    (tmp_path / "vfio" / "vfio").touch()  # without a group it is nobody's
    assert look_at_machine(tmp_path) == Machine((), False)
    monkeypatch.setenv("ISTPUVM", "1")
    assert look_at_machine(tmp_path).as_text() == "a TPU"


@pytest.mark.parametrize(
    ("wanted", "found"),
    [
        ("cpu", Machine((), False)),
        ("cpu", Machine((T4, T4), False)),
        ("t4x2", Machine((T4, T4), False)),
        ("t4x2", Machine(("NVIDIA L4",) * 4, False)),
        ("tpu", Machine((), True)),
    ],
)
def test_the_right_machine_is_taken(wanted: str, found: Machine) -> None:
    check_machine(ACCELERATORS[wanted], found)


@pytest.mark.parametrize(
    ("wanted", "found", "message"),
    [
        ("t4x2", Machine((P100,), False), r"run on GPU T4 x2, but has 1 GPU \(Tesla P100"),
        ("t4x2", Machine((P100, P100), False), r"but has 2 GPUs .* --accelerator t4x2"),
        ("t4x2", Machine((T4,), False), r"but has 1 GPU \(Tesla T4\)"),
        ("t4x2", Machine((), False), r"but has neither GPU nor TPU.*kaggle quota"),
        ("t4x2", Machine((), True), r"but has a TPU"),
        ("tpu", Machine((T4, T4), False), r"run on TPU VM v5e-8, but has 2 GPUs"),
    ],
)
def test_a_wrong_machine_is_named(wanted: str, found: Machine, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        check_machine(ACCELERATORS[wanted], found)
