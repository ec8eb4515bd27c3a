from pathlib import Path

import pandas as pd
import pytest

from melanoma.errors import MelanomaError
from melanoma.files import (
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
        MelanomaError, match=r"file/a.csv cannot be written: .* Check the free space"
    ):
        write_text(tmp_path / "file" / "a.csv", "x")


def test_a_table_survives_writing_to_the_last_bit(tmp_path: Path) -> None:
    table = pd.DataFrame({"x": [0.1, 1 / 3, 5e-324, 1.0]})
    assert pd.read_csv(write_table(tmp_path / "t.csv", table)).equals(table)


def test_bytes_are_written_as_they_are(tmp_path: Path) -> None:
    assert write_bytes(tmp_path / "a.bin", b"\r\n\xff").read_bytes() == b"\r\n\xff"


def test_known_hash(tmp_path: Path) -> None:
    digest = "ca3d163bab055381827226140568f3bef7eaac187cebd76878e0b63e9e442356"
    assert sha256_of(write_json(tmp_path / "x.json", {})) == digest
