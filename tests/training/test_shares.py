import pytest
import torch

from melanoma.errors import ConfigError
from melanoma.training import shares
from melanoma.training.config import RunConfig, parse_config
from melanoma.training.processes import WHOLE_MACHINE, Share
from melanoma.training.shares import divide_machine


@pytest.fixture(autouse=True)
def machine(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nine cores, of which the third is not ours, and five GPUs."""
    monkeypatch.setattr(shares, "available_cores", lambda: {0, 1, 3, 4, 5, 6, 7, 8})
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 5)
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)


def config(n_folds: int, accelerator: str = "cpu", devices: str = "auto") -> RunConfig:
    trainer = [f"--trainer.accelerator={accelerator}", f"--trainer.devices={devices}"]
    return parse_config(["--run_dir=x", f"--parallel_folds={n_folds}", *trainer])


def cpu_share(n_threads: int, *cores: int) -> Share:
    return Share({"OMP_NUM_THREADS": str(n_threads)}, frozenset(cores))


def test_one_fold_at_a_time_has_everything() -> None:
    assert divide_machine(config(1)) == [WHOLE_MACHINE]


@pytest.mark.parametrize(
    ("accelerator", "devices", "n_asked", "expected"),
    [("cpu", "auto", 5, 2), ("cpu", "auto", 1, 1), ("cpu", "2", 5, 1), ("gpu", "auto", 5, 1)],
)
def test_a_processor_trains_two_folds_at_a_time_unless_told_otherwise(
    accelerator: str, devices: str, n_asked: int, expected: int
) -> None:
    trainer = [f"--trainer.accelerator={accelerator}", f"--trainer.devices={devices}"]
    assert len(divide_machine(parse_config(["--run_dir=x", *trainer]), n_asked)) == expected


def test_cores_are_divided_evenly_and_what_is_over_is_left() -> None:
    assert divide_machine(config(2)) == [cpu_share(4, 0, 1, 3, 4), cpu_share(4, 5, 6, 7, 8)]
    assert divide_machine(config(3)) == [cpu_share(2, *c) for c in ((0, 1), (3, 4), (5, 6))]


def test_fewer_threads_may_be_asked_for_but_not_more(monkeypatch: pytest.MonkeyPatch) -> None:
    for asked, given in [("1", "1"), ("16", "4"), ("many", "4")]:
        monkeypatch.setenv("OMP_NUM_THREADS", asked)
        assert divide_machine(config(2))[0].environment == {"OMP_NUM_THREADS": given}


def test_several_devices_of_a_fold_divide_its_cores_once_more() -> None:
    assert divide_machine(config(2, devices="4"))[0] == cpu_share(1, 0, 1, 3, 4)


@pytest.mark.parametrize("accelerator", ["gpu", "cuda", "auto"])
def test_gpus_and_cores_are_divided(accelerator: str) -> None:
    first, second = divide_machine(config(2, accelerator))
    assert first.environment == {"OMP_NUM_THREADS": "4", "CUDA_VISIBLE_DEVICES": "0,1"}
    assert second.environment["CUDA_VISIBLE_DEVICES"] == "2,3"
    assert second.cores == frozenset({5, 6, 7, 8})


def test_the_users_choice_of_gpus_is_divided(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "GPU-a, 7")
    parts = [
        share.environment["CUDA_VISIBLE_DEVICES"] for share in divide_machine(config(2, "gpu"))
    ]
    assert parts == ["GPU-a", "7"]


def test_without_a_gpu_auto_is_the_processor(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert divide_machine(config(2, "auto")) == divide_machine(config(2))


@pytest.mark.parametrize(
    ("asked", "message"),
    [
        (config(9), r"--parallel_folds 9: more than the 8 processor core\(s\) .* at most 8\."),
        (config(6, "gpu"), r"--parallel_folds 6: more than the 5 GPU\(s\)"),
        (config(2, "gpu", "3"), r"--trainer.devices 3: each fold has 2 of the 5 GPUs"),
        (config(2, "gpu", "[0, 1]"), r"devices \[0, 1\]: the folds would all use these"),
        (config(2, "tpu"), r"--trainer.accelerator tpu: .* Leave it at 1"),
    ],
)
def test_what_cannot_be_divided_is_named(asked: RunConfig, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        divide_machine(asked)
