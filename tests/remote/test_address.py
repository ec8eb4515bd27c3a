from pathlib import Path

import pytest

from melanoma.errors import ConfigError
from melanoma.images.prepare import prepare_images
from melanoma.remote.address import address_of


@pytest.mark.parametrize(
    ("place", "address"),
    [
        ("s3://bucket/siim", "s3://bucket/siim"),
        ("S3://bucket/siim//", "s3://bucket/siim"),
        (Path("gs://bucket/a b/siim"), "gs://bucket/a b/siim"),
        (Path("file:///data/siim"), "file:///data/siim"),
        ("http://host:80/siim", "http://host:80/siim"),
        ("input/siim", None),
        ("C:/siim", None),
        ("s3:", None),
        ("", None),
    ],
)
def test_what_is_an_address(place: str | Path, address: str | None) -> None:
    assert address_of(place) == address


def test_a_folder_of_such_a_name_is_a_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("s3:/bucket").mkdir(parents=True)
    assert address_of("s3://bucket") is None


def test_a_password_is_not_written_down() -> None:
    with pytest.raises(ConfigError, match="has a password in it") as error:
        address_of("ftp://me:secret@host/siim")
    assert "secret" not in str(error.value)


def test_copies_are_made_of_folders_alone(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="making copies needs a folder of this machine"):
        prepare_images(Path("s3://bucket/siim"), tmp_path / "out")
