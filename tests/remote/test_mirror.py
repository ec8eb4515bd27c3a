import os
from pathlib import Path

import pytest

from melanoma.errors import ConfigError, MelanomaError, RemoteError
from melanoma.images.reading import check_images, find_images, read_image
from melanoma.remote.mirror import Mirror, mirror_above, mirror_at, open_mirror
from melanoma.remote.opening import local_folder
from melanoma.remote.photographs import is_mirror
from melanoma.tables import read_train
from remote.places import Place


def opened(competition: Path, cache: Path, most_bytes: int = 10**9) -> Mirror:
    return open_mirror(f"file://{competition}", cache, most_bytes)


def names(competition: Path) -> list[str]:
    return sorted(path.stem for path in competition.glob("jpeg/train/*"))


def test_it_looks_like_the_folder(competition: Path, cache: Path) -> None:
    mirror = opened(competition, cache)
    for name in ("train.csv", "test.csv", "sample_submission.csv"):
        assert (mirror.folder / name).read_bytes() == (competition / name).read_bytes()
    paths = find_images(mirror.folder, "train", names(competition))
    assert [path.relative_to(mirror.folder) for path in paths] == [
        path.relative_to(competition) for path in sorted(competition.glob("jpeg/train/*"))
    ]
    assert mirror_at(mirror.folder) == mirror_above(paths[0].parent) == mirror
    assert not is_mirror(competition)


def test_tables_are_fetched_when_they_change_and_not_before(web: Place, cache: Path) -> None:
    local_folder(web.address)
    local_folder(web.address)
    assert web.asked["/train.csv"] == 1
    train_csv = web.folder / "train.csv"
    lines = train_csv.read_text().splitlines(keepends=True)
    train_csv.write_text("".join(lines[:-1]))
    (web.folder / "test.csv").unlink()
    folder = local_folder(web.address)
    assert len(read_train(folder)) == len(lines) - 2
    assert not (folder / "test.csv").exists()


def test_a_place_that_tells_no_versions_is_read_each_time(
    web: Place, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("melanoma.remote.storage._VERSIONS", ())
    first = mirror_at(local_folder(web.address))
    second = mirror_at(local_folder(web.address))
    assert web.asked["/train.csv"] == 2
    assert first == second  # by content, so that photographs are not listed again


@pytest.mark.parametrize("place", ["jpeg/train", "train", ""])
def test_photographs_are_found_where_a_folder_has_them(
    competition: Path, cache: Path, place: str
) -> None:
    folder = competition / place
    folder.mkdir(exist_ok=True)
    for path in sorted(competition.glob("jpeg/train/*")):
        path.rename(folder / path.name)
    if place != "jpeg/train":
        (competition / "jpeg" / "train").rmdir()
    mirror = opened(competition, cache)
    first, *_ = find_images(mirror.folder, "train", names_in(folder))
    original = find_images(competition, "train", [first.stem])[0]
    assert first.relative_to(mirror.folder) == original.relative_to(competition)
    assert (read_image(first, 16) == read_image(original, 16)).all()
    assert first.read_bytes() == original.read_bytes()  # it is kept


def names_in(folder: Path) -> list[str]:
    return sorted(path.stem for path in folder.glob("*.jpg"))


def test_a_photograph_that_was_missing_is_looked_for_again(competition: Path, cache: Path) -> None:
    moved = competition / "jpeg" / "train" / "TRAIN_003.jpg"
    aside = moved.rename(competition / "aside.jpg")
    mirror = opened(competition, cache)
    wanted = [*names(competition), "TRAIN_003"]
    with pytest.raises(MelanomaError, match="1 of 40 train images are missing: TRAIN_003"):
        find_images(mirror.folder, "train", wanted)
    aside.rename(moved)
    assert len(find_images(mirror.folder, "train", wanted)) == 40


def test_a_photograph_that_changed_is_fetched_again_after_the_table(
    competition: Path, cache: Path
) -> None:
    path = competition / "jpeg" / "train" / "TRAIN_000.jpg"
    mirror = opened(competition, cache)
    copies = find_images(mirror.folder, "train", ["TRAIN_000", "TRAIN_001", "TRAIN_002"])
    for copy in copies:
        read_image(copy, 16)
    content = (competition / "jpeg" / "train" / "TRAIN_004.jpg").read_bytes()
    path.write_bytes(content)
    os.utime(path, (1, 1))
    (competition / "jpeg" / "train" / "TRAIN_001.jpg").unlink()
    os.utime(competition / "train.csv", (1, 1))
    mirror = opened(competition, cache)
    find_images(mirror.folder, "train", ["TRAIN_000"])
    assert [copy.exists() for copy in copies] == [False, False, True]
    read_image(copies[0], 16)
    assert copies[0].read_bytes() == content
    kept = int((mirror.folder / "kept_bytes").read_text())
    assert kept == len(content) + copies[2].stat().st_size


def test_one_that_was_replaced_by_as_many_bytes_is_fetched_again(
    competition: Path, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = competition / "jpeg" / "train" / "TRAIN_000.jpg"
    copy = find_images(opened(competition, cache).folder, "train", ["TRAIN_000"])[0]
    read_image(copy, 16)
    before = path.read_bytes()
    path.write_bytes(before[::-1])
    os.utime(path, (1, 1))
    find_images(opened(competition, cache).folder, "train", ["TRAIN_000"])
    assert copy.read_bytes() == before  # listed a moment ago
    monkeypatch.setattr("melanoma.remote.mirror._RELISTED_S", -1)
    find_images(opened(competition, cache).folder, "train", ["TRAIN_000"])
    assert not copy.exists()


def test_a_smaller_size_removes_what_is_too_much(competition: Path, cache: Path) -> None:
    mirror = opened(competition, cache)
    for copy in find_images(mirror.folder, "train", names(competition)):
        read_image(copy, 16)
    opened(competition, cache, most_bytes=5000)
    left = [path.stat().st_size for path in mirror.folder.glob("jpeg/train/*")]
    assert 0 < sum(left) <= 5000


def test_the_folder_of_another_layout_goes(competition: Path, cache: Path) -> None:
    mirror = opened(competition, cache)
    mirror.listing()
    (competition / "jpeg" / "train").rename(competition / "train")
    os.utime(competition / "train.csv", (1, 1))
    mirror = opened(competition, cache)
    paths = find_images(mirror.folder, "train", ["TRAIN_000"])
    assert paths == [mirror.folder / "train" / "TRAIN_000.jpg"]


def test_empty_photographs_are_found_before_they_are_fetched(
    competition: Path, cache: Path
) -> None:
    (competition / "jpeg" / "train" / "TRAIN_007.jpg").write_bytes(b"")
    mirror = opened(competition, cache)
    paths = find_images(mirror.folder, "train", names(competition))
    with pytest.raises(MelanomaError, match=r"1 empty: TRAIN_007\.jpg"):
        check_images(paths, mirror.folder)


def test_images_csv_is_believed_except_for_samples(web: Place, cache: Path) -> None:
    mirror = open_mirror(web.address, cache, 10**9)
    listed = mirror.listing()
    assert len(listed) == 50
    (web.folder / "jpeg" / "test" / "TEST_000.jpg").unlink()
    with pytest.raises(
        RemoteError, match=r"images\.csv lists jpeg/test/TEST_000\.jpg, which is not"
    ):
        mirror.listing(anew=True)


def test_an_images_csv_with_holes_names_the_lines(web: Place, cache: Path) -> None:
    path = web.folder / "images.csv"
    lines = path.read_text().splitlines()
    lines[4] = lines[4].replace(",train,", ",,")
    path.write_text("\n".join(lines))
    with pytest.raises(MelanomaError, match=r"images\.csv: line 5: no image_name, split or bytes"):
        open_mirror(web.address, cache, 10**9).listing()


def test_a_web_server_needs_an_images_csv(web: Place, cache: Path) -> None:
    (web.folder / "images.csv").unlink()
    with pytest.raises(RemoteError, match=r"does not tell how large .* Put an images\.csv there"):
        open_mirror(web.address, cache, 10**9).listing()


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda _: None, r"file:///.*/empty: there is no such folder"),
        (lambda folder: folder.mkdir(), r"no train\.csv and no test\.csv there; it has no files"),
        (
            lambda folder: (folder.mkdir(), (folder / "a.csv").write_text("a")),
            r"no train\.csv .*; its files are a\.csv",
        ),
    ],
)
def test_a_place_without_tables(tmp_path: Path, cache: Path, make, message: str) -> None:  # type: ignore[no-untyped-def]
    make(tmp_path / "empty")
    with pytest.raises(RemoteError, match=message):
        local_folder(f"file://{tmp_path}/empty")
    assert not cache.exists()


def test_a_cache_that_cannot_be_written_is_named(competition: Path, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(MelanomaError, match="cannot be written: a file is where its folder"):
        local_folder(f"file://{competition}", tmp_path / "file")


def test_a_size_that_is_none_is_refused_for_folders_too() -> None:
    with pytest.raises(ConfigError, match=r"--data\.data_cache_size much: not understood"):
        local_folder("input/siim", size="much")


def test_a_folder_is_left_alone(tmp_path: Path, cache: Path) -> None:
    assert local_folder(str(tmp_path / "nowhere")) == tmp_path / "nowhere"
    assert not cache.exists()


def test_addresses_do_not_share_a_mirror(competition: Path, cache: Path, tmp_path: Path) -> None:
    other = tmp_path / "other" / competition.name
    other.mkdir(parents=True)
    (other / "train.csv").write_bytes((competition / "train.csv").read_bytes())
    assert opened(other, cache).folder != opened(competition, cache).folder


def test_without_a_state_it_is_no_mirror(competition: Path) -> None:
    (competition / "mirror.json").write_text("[]")
    assert mirror_at(competition) is None
