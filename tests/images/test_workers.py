import os

import pytest

from melanoma.images.workers import available_cores, default_workers


@pytest.mark.parametrize(("n_cores", "expected"), [(1, 1), (3, 3), (20, 8)])
def test_a_worker_per_core_that_may_be_used(
    monkeypatch: pytest.MonkeyPatch, n_cores: int, expected: int
) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: set(range(5, 5 + n_cores)))
    assert default_workers() == expected


def test_without_affinity_all_cores_may_be_used(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(os, "sched_getaffinity", raising=False)
    monkeypatch.setattr(os, "cpu_count", lambda: 3)
    assert available_cores() == {0, 1, 2}
