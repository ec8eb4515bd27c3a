import errno
import os
from pathlib import Path

import pandas as pd
import pytest

from melanoma.errors import MelanomaError
from melanoma.files import (
    find_leftovers,
    sha256_of,
    write_atomically,
    write_bytes,
    write_json,
    write_table,
    write_text,
)


def test_an_interrupted_write_leaves_the_earlier_file_and_nothing_else(tmp_path: Path) -> None:
    path = write_text(tmp_path / "a.csv", "old")

    def fail(temporary: Path) -> None:
        temporary.write_text("ha")
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write_atomically(path, fail)
    assert [file.name for file in tmp_path.iterdir()] == ["a.csv"]
    assert path.read_text() == "old"


def test_a_folder_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    write_text(tmp_path / "file", "")
    with pytest.raises(
        MelanomaError,
        match=r"file/a.csv cannot be written: a file is where its folder should be. Remove it from",
    ):
        write_text(tmp_path / "file" / "a.csv", "x")


@pytest.mark.parametrize(
    ("number", "message"),
    [
        (errno.ENOSPC, r"No space left on device \(1.5 kB are needed, .* are free\)\. Free some"),
        (
            errno.EDQUOT,
            r"quota exceeded \(1.5 kB are needed, .* are free\)\. Free some space there",
        ),
        (errno.EROFS, r"Read-only file system\. Make .* writable, or choose another folder"),
        (errno.EACCES, r"Permission denied\. Make .* writable"),
        (errno.EIO, r"Input/output error\. Check .* and its disk, or choose another folder"),
    ],
)
def test_what_is_in_the_way_is_named_and_the_earlier_file_stays(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int, message: str
) -> None:
    path = write_text(tmp_path / "a.csv", "old")

    def fail(temporary: Path, content: bytes) -> int:
        with temporary.open("wb") as file:
            file.write(content[:700])
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(Path, "write_bytes", fail)
    message = f"a.csv cannot be written: .*{message}.*; the earlier file is untouched"
    with pytest.raises(MelanomaError, match=message):
        write_text(path, "x" * 1500)
    assert [file.name for file in tmp_path.iterdir()] == ["a.csv"]
    assert path.read_text() == "old"
    with pytest.raises(MelanomaError) as error:
        write_text(tmp_path / "b" / "c.csv", "x")
    assert "earlier" not in str(error.value)


def test_a_failed_rename_leaves_the_earlier_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = write_text(tmp_path / "a.csv", "old")

    def fail(_source: Path, _target: Path) -> None:
        raise OSError("a disk of its own kind")

    monkeypatch.setattr(os, "replace", fail)
    with pytest.raises(MelanomaError, match=r"cannot be written: a disk of its own kind\. Check"):
        write_text(path, "new")
    assert [file.name for file in tmp_path.iterdir()] == ["a.csv"]


def test_half_written_files_are_found(tmp_path: Path) -> None:
    for name in (".a.1.csv", ".a.b.22.ckpt", ".a.csv", "a.1.csv", ".a.1.txt"):
        (tmp_path / name).touch()
    assert sorted(path.name for path in find_leftovers(tmp_path)) == [".a.1.csv", ".a.b.22.ckpt"]
    assert list(find_leftovers(tmp_path / "nowhere")) == []


def test_a_table_survives_writing_to_the_last_bit(tmp_path: Path) -> None:
    table = pd.DataFrame({"x": [0.1, 1 / 3, 5e-324, 1.0]})
    assert pd.read_csv(write_table(tmp_path / "t.csv", table)).equals(table)


def test_bytes_are_written_as_they_are(tmp_path: Path) -> None:
    assert write_bytes(tmp_path / "a.bin", b"\r\n\xff").read_bytes() == b"\r\n\xff"


def test_known_hash(tmp_path: Path) -> None:
    digest = "ca3d163bab055381827226140568f3bef7eaac187cebd76878e0b63e9e442356"
    assert sha256_of(write_json(tmp_path / "x.json", {})) == digest
