"""Whether a machine has the devices that a run asks for; what it has instead, where not.

Nothing here starts a device: a process that has started the cores of a TPU keeps every other
process from them.
"""

import os
from collections.abc import Mapping
from importlib.metadata import PackageNotFoundError, version
from typing import Any

import torch
from lightning.fabric.plugins.environments.lsf import LSFEnvironment
from lightning.fabric.plugins.environments.mpi import MPIEnvironment
from lightning.fabric.plugins.environments.slurm import SLURMEnvironment
from lightning.fabric.plugins.environments.torchelastic import TorchElasticEnvironment
from lightning.fabric.utilities.exceptions import MisconfigurationException
from lightning.pytorch.accelerators import Accelerator, CUDAAccelerator, XLAAccelerator

from melanoma.errors import ConfigError
from melanoma.images.workers import available_cores
from melanoma.models.acceleration import ACCELERATORS, Device, device_of

_TITLES: dict[Device, str] = {"tpu": "TPU core", "mps": "Apple GPU", "cuda": "GPU"}
# What starts this program on several machines, and tells each of the others.
_CLUSTERS = (TorchElasticEnvironment, SLURMEnvironment, LSFEnvironment, MPIEnvironment)
_INSTALL = "python -m pip install -r requirements-tpu.txt"
# Lightning has bf16-true for them too: see melanoma.training.xla.
_TPU_PRECISIONS = ("bf16-mixed", "32-true", "32")
_TPU_STRATEGIES = ("auto", "xla", "xla_debug", "single_xla")


def check_accelerator(options: Mapping[str, Any], prefix: str = "--trainer.") -> None:
    """Check that the devices a Trainer's options ask for are there.

    Args:
        options: Of the Trainer.
        prefix: Of the options' names, for messages.

    Raises:
        ConfigError: If they are not there, with what was found instead; if torch and torch_xla do
            not belong together; or if TPUs cannot do what else is asked for.
    """
    _check_xla_version()
    asked = options.get("accelerator")
    if not isinstance(asked, str | None):
        return  # an object, whose maker knows what it needs
    if asked == "tpu":
        _check_torch_xla(f"{prefix}accelerator tpu")
    if asked in ("tpu", "gpu", "cuda", "mps") and not _is_there(asked):
        raise ConfigError(
            f"{prefix}accelerator {asked}: none was found here, but {found_devices()}."
            f"{_why_no_gpu(asked)} Give {prefix}accelerator auto, or run on a machine that has one."
        )
    _check_nodes(options, prefix)
    device = device_of(asked)
    if device != "cpu":
        _check_devices(device, options.get("devices"), prefix)
    if device == "tpu":
        _check_tpu_options(options, prefix)


def found_devices() -> str:
    """The devices of this machine, for a sentence."""
    gpus = [torch.cuda.get_device_name(gpu) for gpu in range(torch.cuda.device_count())]
    n_cores = len(available_cores())
    found = [f"{len(gpus)} GPU(s) ({', '.join(sorted(set(gpus)))})"] if gpus else []
    for device in ("mps", "tpu"):
        if ACCELERATORS[device].is_available():
            found.append(f"{ACCELERATORS[device].auto_device_count()} {_TITLES[device]}(s)")
    return " and ".join([*found, f"a processor with {n_cores} core(s)"])


def check_switches(options: Mapping[str, Any], model: Mapping[str, Any]) -> None:
    """Check that the module is asked for nothing that its device cannot do.

    Args:
        options: Of the Trainer.
        model: Of the module.

    Raises:
        ConfigError: If it is.
    """
    if device_of(options.get("accelerator")) != "tpu":
        return
    for name in ("torch_compile", "fused_optimizer"):
        if model[name]:
            raise ConfigError(
                f"--model.{name} true: not on TPUs, where PyTorch/XLA compiles the whole step. "
                "Leave the option out."
            )
    if model["cutmix_alpha"]:
        raise ConfigError(
            f"--model.cutmix_alpha {model['cutmix_alpha']}: not on TPUs, where each box cut out "
            "is a program of its own, compiled at its step. Use --model.mixup_alpha instead."
        )


def _is_there(asked: str) -> bool:
    kinds: dict[str, tuple[Device, ...]] = {"gpu": ("cuda", "mps"), "cuda": ("cuda",)}
    wanted: tuple[Any, ...] = kinds.get(asked, (asked,))
    return any(ACCELERATORS[device].is_available() for device in wanted)


def _why_no_gpu(asked: str) -> str:
    built_without = asked in ("gpu", "cuda") and torch.version.cuda is None
    return " The installed torch is built without CUDA." if built_without else ""


def _check_xla_version() -> None:
    """Lightning imports torch_xla for every Trainer where it is installed, whatever the device."""
    installed = _installed_xla()
    if installed is None:
        return
    ours, theirs = (text.split("+")[0].split(".")[:2] for text in (torch.__version__, installed))
    if ours != theirs:
        raise ConfigError(
            f"torch {torch.__version__} and torch_xla {installed} do not belong together: their first "
            f"two numbers must agree. Run {_INSTALL}, or, to use other devices than TPUs, "
            "python -m pip uninstall torch_xla."
        )


def _check_torch_xla(option: str) -> None:
    if _installed_xla() is None:
        raise ConfigError(
            f"{option}: needs torch_xla, which is not installed. Run {_INSTALL}. "
            f"Found here: {found_devices()}."
        )
    chips, used = _tpu_chips(), os.environ.get("PJRT_DEVICE")
    if chips and used != "TPU":  # torch_xla sets it when it has found chips and their library
        raise ConfigError(
            f"{option}: there are {chips} TPU chips, but PyTorch/XLA would use {used} (PJRT_DEVICE). "
            "Unset that variable if you have set it; else libtpu, which drives the chips, is missing: "
            f"run {_INSTALL}."
        )


def _check_devices(device: Device, asked: Any, prefix: str) -> None:
    if asked in (None, "auto") or (asked in (-1, "-1") and device != "tpu"):
        return
    kind: type[Accelerator] = ACCELERATORS[device]
    try:
        kind.parse_devices(asked)
    except (MisconfigurationException, ValueError, TypeError) as error:
        there = kind.auto_device_count()
        several = f"1 or {there}" if kind is XLAAccelerator and there > 1 else f"at most {there}"
        visible = " (CUDA_VISIBLE_DEVICES counts)" if kind is CUDAAccelerator else ""
        raise ConfigError(
            f"{prefix}devices {asked}: there is {there} {_TITLES[device]}(s) here{visible}. "
            f"Give {several}, or auto."
        ) from error


def _check_nodes(options: Mapping[str, Any], prefix: str) -> None:
    """One machine would wait for the others for half an hour, where nobody starts them."""
    n_nodes = options.get("num_nodes") or 1
    is_joined = "MASTER_ADDR" in os.environ or any(kind.detect() for kind in _CLUSTERS)
    if n_nodes > 1 and not is_joined:
        raise ConfigError(
            f"{prefix}num_nodes {n_nodes}: nothing here says where the other machines are. Start it "
            "with torchrun or srun (docs/several_devices.md), or set MASTER_ADDR, MASTER_PORT and "
            "NODE_RANK on each; or leave the option out."
        )


def _check_tpu_options(options: Mapping[str, Any], prefix: str) -> None:
    precision, strategy = options.get("precision"), options.get("strategy") or "auto"
    if precision is not None and str(precision) not in _TPU_PRECISIONS:
        raise ConfigError(
            f"{prefix}precision {precision}: not on TPUs. Choose bf16-mixed or 32-true."
        )
    if isinstance(strategy, str) and strategy not in _TPU_STRATEGIES:
        raise ConfigError(
            f"{prefix}strategy {strategy}: not on TPUs, whose cores PyTorch/XLA brings together. "
            "Leave the option out."
        )


def _tpu_chips() -> int:
    """On the PCI bus, whatever Lightning is told in tests."""
    from torch_xla._internal import tpu  # as Lightning does; it starts nothing

    return int(tpu.num_available_chips())


def _installed_xla() -> str | None:
    try:
        return version("torch_xla")
    except PackageNotFoundError:
        return None
