import os
from pathlib import Path

import pytest

from melanoma.errors import ConfigError
from melanoma.kaggle import inputs
from melanoma.kaggle.inputs import list_mounts


def make(root: Path, *files: str) -> None:
    for name in files:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).touch()


@pytest.mark.parametrize("place", ["resized", "datasets/me/resized"])
def test_a_source_is_found_in_both_layouts(tmp_path: Path, place: str) -> None:
    make(tmp_path, f"{place}/train.csv", f"{place}/train/a.jpg", "competitions/siim/test.csv")
    listed = list_mounts(tmp_path)
    found = [folder.path.relative_to(tmp_path) for folder in listed.of("me/resized/3")]
    assert Path(place) in found
    assert Path("competitions/siim") not in found
    assert [f.path.name for f in listed.of("siim")] == ["siim"]
    assert listed.of("me/unknown") == []
    assert place in listed.as_text()


def test_the_owner_tells_two_of_one_name_apart(tmp_path: Path) -> None:
    make(tmp_path, "datasets/me/resized/x", "datasets/you/resized/x")
    found = list_mounts(tmp_path).of("you/resized")
    assert [str(folder.path.relative_to(tmp_path)) for folder in found] == ["datasets/you/resized"]


def test_folders_of_photographs_are_not_walked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(inputs, "_MOST_ENTRIES", 20)
    make(tmp_path, *(f"d/train/{number}.jpg" for number in range(50)), "d/train/train.csv")
    make(
        tmp_path, "d/train.csv", "d/.git/config", "a/b/c/d/e/f/g/deep.csv", "a/b/c/d/e/f/g/h/no.csv"
    )
    listed = list_mounts(tmp_path)
    photographs = listed.by_path[tmp_path / "d" / "train"]
    assert photographs.is_cut
    assert len(photographs.files) == 20
    # What is looked for by name is found all the same.
    assert photographs.has("train.csv")
    assert not photographs.has("train.csv", "test.csv")
    assert tmp_path / "d" / ".git" not in listed.by_path
    csvs = [path.name for path in listed.files(lambda path: path.suffix == ".csv")]
    assert {"deep.csv", "train.csv"} <= set(csvs)
    assert "no.csv" not in csvs


def test_nothing_attached(tmp_path: Path) -> None:
    for root in (tmp_path, tmp_path / "missing"):
        assert list_mounts(root).as_text() == "nothing"


def test_a_folder_that_cannot_be_read_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(path: Path) -> None:
        raise OSError(5, "Input/output error", str(path))

    monkeypatch.setattr(os, "scandir", refuse)
    with pytest.raises(
        ConfigError, match=r"cannot be read \(Input/output error\). Start the kernel"
    ):
        list_mounts(tmp_path)
