import json
from pathlib import Path

import pytest

from melanoma.errors import ConfigError, MelanomaError
from melanoma.images.copies import CopySettings
from melanoma.images.prepare_target import check_folders, claim, remove_leftovers

SETTINGS = CopySettings(size=256, square=False, quality=95)


@pytest.mark.parametrize("target", [".", "inside", "jpeg/../inside", ".."])
def test_source_and_target_must_lie_apart(tmp_path: Path, target: str) -> None:
    source = tmp_path / "input" / "tiny"
    source.mkdir(parents=True)
    with pytest.raises(ConfigError, match=r"--output_dir .*: must not be --data_dir .*-resized"):
        check_folders(source, source / target)


def take(output_dir: Path, settings: CopySettings) -> None:
    with claim(output_dir, settings):
        pass


def test_a_link_into_the_source_is_seen_through(tmp_path: Path) -> None:
    (tmp_path / "source").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "source")
    with pytest.raises(ConfigError, match="must not be --data_dir"):
        check_folders(tmp_path / "source", tmp_path / "link" / "x")


def test_a_folder_beside_the_source_is_fine(tmp_path: Path) -> None:
    check_folders(tmp_path / "siim", tmp_path / "siim-512")


def test_a_folder_is_claimed_for_one_kind_of_copies(tmp_path: Path) -> None:
    take(tmp_path / "a" / "b", SETTINGS)
    take(tmp_path / "a" / "b", SETTINGS)
    message = r"made with --size 256 --quality 95, not with --size 512 --square --quality 95"
    with pytest.raises(ConfigError, match=message):
        take(tmp_path / "a" / "b", CopySettings(512, True, 95))


@pytest.mark.parametrize("content", ["", "{", "[]", "7"])
def test_a_claim_that_cannot_be_read_is_another_one(tmp_path: Path, content: str) -> None:
    (tmp_path / "prepare.json").write_text(content)
    with pytest.raises(ConfigError, match="made with unknown options, not with --size 256"):
        take(tmp_path, SETTINGS)


def test_somebody_elses_folder_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "train.csv").touch()
    (tmp_path / "photo.jpg").touch()
    with pytest.raises(ConfigError, match=r"did not write: photo.jpg, train.csv. Give a new or"):
        take(tmp_path, SETTINGS)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["photo.jpg", "train.csv"]


def test_a_folder_whose_claim_was_cut_off_is_as_good_as_empty(tmp_path: Path) -> None:
    (tmp_path / ".prepare.123.json").write_text("{")
    take(tmp_path, SETTINGS)
    remove_leftovers(tmp_path)
    assert sorted(path.name for path in tmp_path.iterdir()) == [".locks", "prepare.json"]
    assert json.loads((tmp_path / "prepare.json").read_text())["size"] == 256


def test_a_folder_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(MelanomaError, match=r"file/.locks/prepare.lock cannot be written"):
        take(tmp_path / "file", SETTINGS)


def test_only_our_own_leftovers_are_removed(tmp_path: Path) -> None:
    folder = tmp_path / "jpeg" / "test"
    folder.mkdir(parents=True)
    kept = [folder / name for name in ("a.jpg", ".a.jpg", ".a.b.jpg", ".a.1.txt")]
    for path in [*kept, folder / ".a.1.jpg", folder / ".a.b.22.jpg"]:
        path.touch()
    remove_leftovers(tmp_path)
    assert sorted(folder.iterdir()) == sorted(kept)
