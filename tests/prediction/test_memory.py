import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from melanoma.prediction.memory import (
    bytes_per_photograph,
    fitting_batch_size,
    free_bytes,
    peak_memory_text,
    wanted_batch_size,
)

CPU, CUDA = torch.device("cpu"), torch.device("cuda", 0)
GB = 10**9


def with_memory(monkeypatch: pytest.MonkeyPatch, free: int, total: int) -> None:
    monkeypatch.setattr(torch.cuda, "mem_get_info", lambda _: (free, total))


@given(st.integers(1, 1024), st.integers(0, 10**6), st.integers(1, 10**4))
def test_a_step_fits_is_never_empty_and_never_larger_than_wanted(
    wanted: int, memory: int, photograph: int
) -> None:
    chosen = fitting_batch_size(wanted, memory, photograph)
    assert 1 <= chosen <= wanted
    assert chosen == 1 or chosen * photograph <= 0.8 * memory
    assert chosen == wanted or 2 * chosen * photograph > 0.4 * memory


@pytest.mark.parametrize(("configured", "expected"), [(1, 1), (32, 32), (500, 64)])
def test_a_processor_takes_what_training_took_up_to_a_cap(configured: int, expected: int) -> None:
    assert wanted_batch_size(CPU, configured, GB, 256) == expected


@pytest.mark.parametrize(
    ("total", "expected"), [(100 * GB, 256), (16 * GB, 64), (GB, 4), (GB // 100, 1)]
)
def test_a_gpu_takes_what_its_whole_memory_holds_whatever_is_free(
    monkeypatch: pytest.MonkeyPatch, total: int, expected: int
) -> None:
    for free in (0, total):
        with_memory(monkeypatch, free, total)
        assert wanted_batch_size(CUDA, 32, GB // 6, 256) == expected
        assert free_bytes(CUDA) == free


@pytest.mark.parametrize(("size_px", "expected"), [(96, 256), (512, 64), (640, 32), (9000, 1)])
def test_large_photographs_are_fewer_in_a_step(
    monkeypatch: pytest.MonkeyPatch, size_px: int, expected: int
) -> None:
    with_memory(monkeypatch, 100 * GB, 100 * GB)
    assert wanted_batch_size(CUDA, 32, 1, size_px) == expected


def test_the_largest_layer_decides() -> None:
    # 3 x 8 x 8 in and 16 x 8 x 8 out, of four bytes each; the pooling behind it is smaller.
    network = nn.Sequential(nn.Conv2d(3, 16, 3, padding=1), nn.AdaptiveAvgPool2d(1))
    assert bytes_per_photograph(network, 8) == 2 * 4 * (3 + 16) * 8 * 8
    assert bytes_per_photograph(network, 16) == 4 * bytes_per_photograph(network, 8)


def test_free_memory_is_known_or_not() -> None:
    free = free_bytes(CPU)
    assert free is None or free > 2**20
    assert free_bytes(torch.device("meta")) is None


def test_peak_memory_is_of_the_gpu_or_of_the_processes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "max_memory_allocated", lambda _: 1_230_000_000)
    assert peak_memory_text(CUDA, n_workers=2) == "1.23 GB on the GPU"
    assert peak_memory_text(CPU, n_workers=0).endswith(" GB")
    assert peak_memory_text(CPU, n_workers=2).endswith(" GB per worker")
