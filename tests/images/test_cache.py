import errno
import os
import pickle
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from melanoma.errors import ImageError, MelanomaError
from melanoma.images.cache import fill_cache, open_cache
from melanoma.images.reading import read_image


def photographs(competition: Path) -> list[Path]:
    return sorted((competition / "jpeg" / "train").iterdir())


def test_rows_are_what_is_read(competition: Path, tmp_path: Path) -> None:
    paths = photographs(competition)
    cache = fill_cache(tmp_path / "cache", paths, 20)
    assert cache.path.stat().st_size == len(paths) * 20 * 20 * 3
    for row in (0, 7, len(paths) - 1):
        assert np.array_equal(cache[row], read_image(paths[row], 20))
    sent = pickle.loads(pickle.dumps(cache))  # noqa: S301
    assert np.array_equal(sent[3], cache[3])
    assert np.array_equal(open_cache(tmp_path / "cache", paths, 20)[3], cache[3])


def test_a_row_may_be_changed_without_changing_the_file(competition: Path, tmp_path: Path) -> None:
    cache = fill_cache(tmp_path, photographs(competition), 20)
    before = cache[0].copy()
    cache[0][:] = 0
    assert np.array_equal(cache[0], before)


def test_a_file_is_made_once_and_anew_where_a_photograph_or_the_size_changes(
    competition: Path, tmp_path: Path
) -> None:
    paths = photographs(competition)
    first = fill_cache(tmp_path, paths, 20).path
    made = first.stat().st_mtime_ns
    assert fill_cache(tmp_path, paths, 20).path == first
    assert first.stat().st_mtime_ns == made
    assert fill_cache(tmp_path, paths, 21).path != first
    os.utime(paths[0], (1, 1))
    assert fill_cache(tmp_path, paths, 20).path != first


def test_too_little_space_names_the_bytes(
    competition: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("shutil.disk_usage", lambda _: SimpleNamespace(free=5000))
    message = r"--data\.cache .*: the decoded photographs need 48\.0 kB, 5\.0 kB are free"
    with pytest.raises(MelanomaError, match=message):
        fill_cache(tmp_path / "new" / "cache", photographs(competition), 20)
    assert not (tmp_path / "new").exists()


def test_a_disk_that_fills_up_leaves_nothing_half_written(
    competition: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr("os.pwrite", full)
    with pytest.raises(MelanomaError, match=r"cannot be written: No space left on device"):
        fill_cache(tmp_path / "cache", photographs(competition), 20)
    assert not list((tmp_path / "cache").iterdir())


def test_a_photograph_that_cannot_be_decoded_is_named(competition: Path, tmp_path: Path) -> None:
    paths = photographs(competition)
    paths[5].write_bytes(b"no image")
    with pytest.raises(ImageError, match=paths[5].name):
        fill_cache(tmp_path / "cache", paths, 20)
    assert not list((tmp_path / "cache").iterdir())
