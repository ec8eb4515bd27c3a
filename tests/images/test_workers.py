import os
from collections import namedtuple
from pathlib import Path

import pytest

from melanoma.errors import ConfigError
from melanoma.images import workers
from melanoma.images.datamodule import MelanomaDataModule
from melanoma.images.prediction_datamodule import PredictionDataModule
from melanoma.images.workers import available_cores, default_workers, workers_with_room


@pytest.mark.parametrize(("n_cores", "expected"), [(1, 1), (3, 3), (20, 8)])
def test_a_worker_per_core_that_may_be_used(
    monkeypatch: pytest.MonkeyPatch, n_cores: int, expected: int
) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: set(range(5, 5 + n_cores)))
    assert default_workers(batch_size=1, image_size_px=8) == expected


def test_without_affinity_all_cores_may_be_used(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(os, "sched_getaffinity", raising=False)
    monkeypatch.setattr(os, "cpu_count", lambda: 3)
    assert available_cores() == {0, 1, 2}


@pytest.mark.parametrize(
    ("free_mb", "room"),
    # A batch of 32 photographs of 256 pixels has 6.3 MB; a container's shared memory 64 MB.
    [(64, 4), (32, 2), (19, 1), (18, 0), (0, 0)],
)
def test_no_more_workers_than_shared_memory_has_room_for(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, free_mb: int, room: int
) -> None:
    usage = namedtuple("usage", "free")
    monkeypatch.setattr(workers, "SHARED_MEMORY", tmp_path)
    monkeypatch.setattr(workers, "disk_usage", lambda _: usage(free_mb * 10**6))
    monkeypatch.setattr(workers, "available_cores", lambda: set(range(64)))
    assert workers_with_room(32, 256) == room
    assert MelanomaDataModule().num_workers == room
    assert MelanomaDataModule(num_workers=room).num_workers == room
    with pytest.raises(
        ConfigError,
        match=rf"--data.num_workers {room + 1}: .*Give --data.num_workers {room}, leave",
    ):
        MelanomaDataModule(num_workers=room + 1)
    # The batch size of a prediction may be chosen for the user.
    assert PredictionDataModule([], 256, 32, num_workers=9).num_workers == room
    assert workers_with_room(32, 64) > room or not free_mb


def test_where_shared_memory_has_no_folder_it_sets_no_limit(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(workers, "SHARED_MEMORY", tmp_path / "none")
    assert workers_with_room(4096, 4096) > 64
