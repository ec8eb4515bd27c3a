from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import SimpleNamespace

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from melanoma.errors import RemoteError
from melanoma.images.reading import find_images, read_image
from melanoma.remote.keeping import keep
from melanoma.remote.opening import local_folder
from melanoma.remote.photographs import fetch_photograph, status_reader
from remote.places import Place


def test_a_photograph_is_fetched_once(web: Place, cache: Path) -> None:
    folder = local_folder(web.address)
    path = find_images(folder, "train", ["TRAIN_000"])[0]
    for _ in range(3):
        read_image(path, 16)
    assert web.photographs_asked == 1


def test_one_that_is_in_no_mirror_is_not_fetched(competition: Path) -> None:
    path = competition / "jpeg" / "train" / "none.jpg"
    assert fetch_photograph(path) is None
    with pytest.raises(FileNotFoundError):
        status_reader()(path)


def test_one_that_went_says_so(web: Place, cache: Path) -> None:
    folder = local_folder(web.address)
    path = find_images(folder, "train", ["TRAIN_000"])[0]
    (web.folder / "jpeg" / "train" / "TRAIN_000.jpg").unlink()
    with pytest.raises(RemoteError, match=r"TRAIN_000\.jpg: is not there \(any more\)"):
        read_image(path, 16)


@given(
    pages=st.lists(st.sampled_from([b"", b"<html>busy</html>", b"\xff\xd8\xff\xd9"]), max_size=6)
)
@settings(max_examples=15, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_a_page_in_place_of_a_photograph_is_never_kept(
    web: Place, cache: Path, pages: list[bytes]
) -> None:
    folder = local_folder(web.address)
    path = find_images(folder, "train", ["TRAIN_000"])[0]
    path.unlink(missing_ok=True)
    right = (web.folder / "jpeg/train/TRAIN_000.jpg").read_bytes()
    web.pages["/jpeg/train/TRAIN_000.jpg"] = list(pages)
    for _ in range(len(pages) // 4):
        with pytest.raises(
            RemoteError, match=rf"{web.address}/jpeg/train/TRAIN_000\.jpg: \d+ bytes"
        ):
            read_image(path, 16)
        assert not path.exists()
    read_image(path, 16)
    assert path.read_bytes() == right
    assert int((folder / "kept_bytes").read_text()) >= len(right)


def test_the_status_is_known_without_fetching(web: Place, cache: Path) -> None:
    folder = local_folder(web.address)
    status = status_reader()
    path = find_images(folder, "test", ["TEST_001"])[0]
    assert status(path).n_bytes == (web.folder / "jpeg/test/TEST_001.jpg").stat().st_size
    with pytest.raises(FileNotFoundError):
        status(path.with_name("none.jpg"))
    assert web.photographs_asked == 0


def test_several_at_once_are_counted_once(web: Place, cache: Path) -> None:
    folder = local_folder(web.address)
    names = sorted(path.stem for path in web.folder.glob("jpeg/train/*"))
    paths = find_images(folder, "train", names[:4]) * 8
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(fetch_photograph, paths))
    kept = sum(path.stat().st_size for path in folder.glob("jpeg/train/*"))
    assert int((folder / "kept_bytes").read_text()) == kept
    assert len(list(folder.glob("jpeg/train/*"))) == 4


@settings(max_examples=30)
@given(sizes=st.lists(st.integers(0, 50), max_size=20), most_bytes=st.integers(1, 200))
def test_no_more_is_kept_than_may_be(
    tmp_path_factory: pytest.TempPathFactory, sizes: list[int], most_bytes: int
) -> None:
    mirror = tmp_path_factory.mktemp("mirror")
    kept = 0
    for number, size in enumerate(sizes):
        path = mirror / "train" / f"{number}.jpg"
        is_kept = keep(mirror, path, bytes(size), most_bytes)
        assert is_kept == path.is_file() == (kept + size <= most_bytes)
        kept += size * is_kept
    assert sum(path.stat().st_size for path in mirror.glob("train/*")) == kept <= most_bytes


def test_the_last_of_a_disk_is_left(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("shutil.disk_usage", lambda _: SimpleNamespace(free=1_000_000_002))
    assert keep(tmp_path, tmp_path / "a.jpg", b"ab", 100)
    assert not keep(tmp_path, tmp_path / "b.jpg", b"abc", 100)


def test_a_count_that_is_lost_is_made_again(tmp_path: Path) -> None:
    keep(tmp_path, tmp_path / "a.jpg", bytes(60), 100)
    (tmp_path / "kept_bytes").write_text("")
    assert not keep(tmp_path, tmp_path / "b.jpg", bytes(60), 100)
