from pathlib import Path

import pytest

from melanoma.images.index import confirmed_hashes, copy_path

PHASH = "0" * 63 + "e"


def listed(folder: Path, *rows: str, header: str | None = None) -> list[Path]:
    """Two files of 3 and 4 bytes, and an images.csv of these rows."""
    for name, content in [("a", b"abc"), ("b", b"abcd")]:
        path = copy_path(folder, "train", name)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    header = "image_name,split,width,height,bytes,phash" if header is None else header
    (folder / "images.csv").write_text("\n".join([header, *rows]) + "\n")
    return [copy_path(folder, "train", name) for name in "ab"]


def test_files_with_the_bytes_listed_are_confirmed_with_their_hash(tmp_path: Path) -> None:
    a, b = listed(tmp_path, f"a,train,6,4,3,{PHASH}", f"b,train,6,4,4,{PHASH}")
    assert confirmed_hashes(tmp_path, [a, b]) == {a: PHASH, b: PHASH}


@pytest.mark.parametrize(
    "row",
    [
        f"b,train,6,4,5,{PHASH}",
        f"b,test,6,4,4,{PHASH}",
        f"b,train,6,4,,{PHASH}",
        f"b,train,6,4,many,{PHASH}",
        "b,train,6,4,4,",
        "b,train,6,4,4,0123",
        f",train,6,4,4,{PHASH}",
        f"b,,6,4,4,{PHASH}",
    ],
)
def test_a_row_that_does_not_fit_confirms_nothing(tmp_path: Path, row: str) -> None:
    a, b = listed(tmp_path, f"a,train,6,4,3,{PHASH}", row)
    assert confirmed_hashes(tmp_path, [a, b]) == {a: PHASH}


def test_a_file_that_is_gone_or_elsewhere_is_not_confirmed(tmp_path: Path) -> None:
    a, _ = listed(tmp_path, f"a,train,6,4,3,{PHASH}")
    elsewhere = tmp_path / "train" / "a.jpg"
    elsewhere.parent.mkdir()
    a.rename(elsewhere)
    assert confirmed_hashes(tmp_path, [a, elsewhere]) == {}


def test_without_a_list_nothing_is_confirmed(tmp_path: Path) -> None:
    assert confirmed_hashes(tmp_path, [tmp_path / "a.jpg"]) == {}


@pytest.mark.parametrize("header", ["", "image_name,url", "image_name,split,bytes\n\0\xff"])
def test_a_list_that_cannot_be_used_is_left_aside_with_a_warning(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, header: str
) -> None:
    paths = listed(tmp_path, header=header)
    assert confirmed_hashes(tmp_path, paths) == {}
    assert "images.csv" in caplog.text
    assert "All photographs are opened instead." in caplog.text
