import socket
from pathlib import Path

import pytest

from melanoma.errors import ConfigError, RemoteError
from melanoma.remote.storage import Entry, Storage
from remote.places import Place

PHOTOGRAPH = "jpeg/train/TRAIN_000.jpg"


def test_files_are_found_listed_read_and_downloaded(web: Place, tmp_path: Path) -> None:
    here, there = Storage(f"file://{web.folder}"), Storage(web.address)
    content = (web.folder / PHOTOGRAPH).read_bytes()
    for storage in (here, there):
        found = storage.find([PHOTOGRAPH, "train.csv", "prepare.json"])
        assert set(found) == {PHOTOGRAPH, "train.csv"}
        assert found[PHOTOGRAPH].n_bytes == len(content)
        assert storage.read(PHOTOGRAPH) == content
        storage.download(PHOTOGRAPH, tmp_path / "a.jpg")
        assert (tmp_path / "a.jpg").read_bytes() == content
        names = {entry.name for entry in storage.list_files("jpeg/train") or []}
        assert names == {path.name for path in web.folder.glob("jpeg/train/*")}
        assert storage.list_files("jpeg/validation") is None
        with pytest.raises(FileNotFoundError):
            storage.read("jpeg/train/none.jpg")


def test_a_file_name_is_no_url(web: Place, tmp_path: Path) -> None:
    """Each of these means something else in a URL; two of them are one URL unless it is encoded."""
    special = [" ", "%20", "#", "?", "&", "=", "+", "%", ";", "[", "é", "ü", "@", ":", "~", "'"]
    names = [f"mole{mark}1.jpg" for mark in special]
    for number, name in enumerate(names):
        (web.folder / "jpeg" / "train" / name).write_bytes(bytes([number]) * (number + 1))
    storage = Storage(web.address)
    listed = {entry.name for entry in storage.list_files("jpeg/train") or []}
    assert set(names) <= listed
    found = storage.find([f"jpeg/train/{name}" for name in names])
    for number, name in enumerate(names):
        assert found[f"jpeg/train/{name}"].n_bytes == number + 1
        assert storage.read(f"jpeg/train/{name}") == bytes([number]) * (number + 1)
        storage.download(f"jpeg/train/{name}", tmp_path / "copy")
        assert (tmp_path / "copy").read_bytes() == bytes([number]) * (number + 1)


def test_a_version_changes_with_the_content(competition: Path) -> None:
    storage = Storage(f"file://{competition}")
    before = storage.find(["train.csv"])["train.csv"]
    (competition / "train.csv").write_text("image_name\n")
    after = storage.find(["train.csv"])["train.csv"]
    assert isinstance(after, Entry)
    assert before.version != after.version


def test_what_fails_for_a_moment_is_asked_again(web: Place) -> None:
    web.failures[f"/{PHOTOGRAPH}"] = 3
    assert Storage(web.address).read(PHOTOGRAPH) == (web.folder / PHOTOGRAPH).read_bytes()
    assert web.asked[f"/{PHOTOGRAPH}"] == 4


def test_what_goes_on_failing_is_one_message(web: Place) -> None:
    web.failures[f"/{PHOTOGRAPH}"] = 4
    message = rf"{web.address}/{PHOTOGRAPH}: cannot be read after 4 attempts \(.*503"
    with pytest.raises(RemoteError, match=message):
        Storage(web.address).read(PHOTOGRAPH)


def test_what_is_not_allowed_is_asked_once(web: Place) -> None:
    web.refused.add(f"/{PHOTOGRAPH}")
    with pytest.raises(RemoteError, match=r"not allowed \(.*403.*the credentials"):
        Storage(web.address).read(PHOTOGRAPH)
    assert web.asked[f"/{PHOTOGRAPH}"] == 1
    with pytest.raises(RemoteError, match="not allowed"):
        Storage(web.address).find([PHOTOGRAPH])


def test_nobody_who_answers_is_no_missing_file(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("melanoma.remote.storage._PAUSES_S", (0.0,))
    with pytest.raises(RemoteError, match="cannot be read after 2 attempts"):
        Storage("http://127.0.0.1:9").find(["train.csv"])


def test_who_never_answers_is_waited_for_once_and_for_seconds(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("melanoma.remote.storage._ANSWER_S", 1.0)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        address = f"http://127.0.0.1:{silent.getsockname()[1]}"
        with pytest.raises(
            RemoteError, match=rf"^{address}/train.csv: no answer within 1 s\. Check"
        ):
            Storage(address).find(["train.csv"])
        silent.setblocking(False)
        silent.accept()[0].close()
        with pytest.raises(BlockingIOError):  # nobody else has called
            silent.accept()


def test_an_unknown_scheme_names_those_there_are() -> None:
    with pytest.raises(ConfigError, match=r"Protocol not known: siim.*s3://, gs://"):
        Storage("siim://bucket").read("train.csv")


@pytest.mark.parametrize(
    ("scheme", "package"), [("s3", "s3fs"), ("gs", "gcsfs"), ("abfs", "adlfs")]
)
def test_a_missing_package_is_named(
    scheme: str, package: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def missing(*_: object, **__: object) -> None:
        raise ImportError(f"Install {package}")

    monkeypatch.setattr("fsspec.core.url_to_fs", missing)
    with pytest.raises(ConfigError, match=rf"not installed .*pip install {package}$"):
        Storage(f"{scheme}://no-such-bucket/siim").read("train.csv")


def test_credentials_that_are_looked_for_at_once_are_one_message(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise RuntimeError("no credentials")

    monkeypatch.setattr("fsspec.core.url_to_fs", refuse)
    with pytest.raises(RemoteError, match=r"cannot be read .*no credentials"):
        Storage("file:///other").read("train.csv")
