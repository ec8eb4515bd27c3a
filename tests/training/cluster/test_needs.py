from typing import Any

import pytest
import torch

from melanoma.errors import ConfigError
from melanoma.training.cluster import needs as module
from melanoma.training.cluster.needs import Needs, check_fits, n_places, needs_of
from melanoma.training.config import RunConfig, parse_config
from melanoma.training.processes import WHOLE_MACHINE, Share


@pytest.fixture(autouse=True)
def machine(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("OMP_NUM_THREADS", "MELANOMA_WEIGHTS", "WANDB_MODE", "NO_ALBUMENTATIONS_UPDATE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(module, "available_cores", lambda: frozenset(range(8)))
    monkeypatch.setattr(module, "_whole_machine", lambda: 6)


def config(*more: str) -> RunConfig:
    return parse_config(["--run_dir=x", "--launcher=ray", "--trainer.accelerator=cpu", *more])


def test_a_fold_takes_what_it_would_have_here() -> None:
    half = Share({"OMP_NUM_THREADS": "4"}, frozenset(range(4)))
    found = needs_of(config(), [half, half])
    assert (found.cores, found.gpus) == (4, 0)
    assert found.environment == {"OMP_NUM_THREADS": "4", "CUDA_VISIBLE_DEVICES": ""}
    assert str(found) == "4 core(s)"
    whole = needs_of(config(), [WHOLE_MACHINE])
    assert (whole.cores, whole.environment["OMP_NUM_THREADS"]) == (8, "6")


def test_several_devices_of_a_fold_divide_its_threads() -> None:
    found = needs_of(config("--trainer.devices=2"), [WHOLE_MACHINE])
    assert (found.cores, found.environment["OMP_NUM_THREADS"]) == (8, "4")


def test_what_is_asked_for_counts(monkeypatch: pytest.MonkeyPatch) -> None:
    found = needs_of(config("--ray_cores=3", "--ray_gpus=0"), [WHOLE_MACHINE])
    assert (found.cores, found.environment["OMP_NUM_THREADS"]) == (3, "3")
    monkeypatch.setenv("OMP_NUM_THREADS", "2")
    monkeypatch.setenv("WANDB_MODE", "offline")
    found = needs_of(config("--ray_cores=3"), [WHOLE_MACHINE])
    assert found.environment["OMP_NUM_THREADS"] == "2"
    assert found.environment["WANDB_MODE"] == "offline"


@pytest.mark.parametrize(("devices", "expected"), [("1", 1), ("2", 2), ("auto", 1)])
def test_gpus_are_those_of_the_trainer_though_this_machine_has_none(
    devices: str, expected: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 0)
    options = ("--trainer.accelerator=gpu", f"--trainer.devices={devices}")
    found = needs_of(config(*options), [WHOLE_MACHINE])
    assert found.gpus == expected
    assert "CUDA_VISIBLE_DEVICES" not in found.environment
    assert str(found) == f"8 core(s) and {expected} GPU(s)"


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--trainer.accelerator=tpu"], r"--trainer.accelerator tpu: Ray divides processor cores"),
        (["--trainer.accelerator=gpu", "--trainer.devices=[0,1]"], r"Give their number"),
    ],
)
def test_devices_that_ray_does_not_divide_are_named(options: list[str], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        needs_of(config(*options), [WHOLE_MACHINE])


def node(cores: float, gpus: float = 0, alive: bool = True) -> dict[str, Any]:
    resources = {"CPU": cores, **({"GPU": gpus} if gpus else {})}
    return {"Alive": alive, "NodeManagerHostname": "box", "Resources": resources}


def test_as_many_folds_as_fit() -> None:
    assert n_places(node(9), Needs(4, 0, {})) == 2
    assert n_places(node(9, 1), Needs(4, 1, {})) == 1
    assert n_places(node(9), Needs(4, 1, {})) == 0
    assert n_places(node(9, alive=False), Needs(4, 0, {})) == 0


def test_a_fold_that_fits_nowhere_is_named_with_what_there_is() -> None:
    check_fits([node(2), node(4)], Needs(4, 0, {}))
    message = (
        r"takes 4 core\(s\) and 2 GPU\(s\), and no machine .* \(box 2 core\(s\), box 8 core\(s\) and "
        r"1 GPU\(s\)\). Give it less with --ray_cores"
    )
    with pytest.raises(ConfigError, match=message):
        check_fits([node(2), node(8, 1), node(64, 8, alive=False)], Needs(4, 2, {}))
