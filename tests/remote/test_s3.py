"""The same from a real object store's protocol: needs s3fs and moto, see docs/remote_data.md."""

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from melanoma.errors import RemoteError
from melanoma.images.reading import find_images, read_image
from melanoma.remote import storage
from melanoma.remote.mirror import mirror_at
from melanoma.remote.opening import local_folder
from melanoma.run_folder import RunFolder
from melanoma.training.fold import train_fold
from remote.test_training import config_of, hashes, train

s3fs = pytest.importorskip("s3fs")
server = pytest.importorskip("moto.server")

pytestmark = pytest.mark.filterwarnings("ignore")


@pytest.fixture
def bucket(competition: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """The tiny competition in a bucket of an S3 on this machine, empty of markers but one."""
    store = server.ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    store.start()
    host, port = store.get_host_and_port()
    for name, value in [
        ("AWS_ACCESS_KEY_ID", "testing"),
        ("AWS_SECRET_ACCESS_KEY", "testing"),
        ("AWS_DEFAULT_REGION", "us-east-1"),
        ("AWS_ENDPOINT_URL", f"http://{host}:{port}"),
    ]:
        monkeypatch.setenv(name, value)
    s3fs.S3FileSystem.clear_instance_cache()  # those of another test have its server's address
    storage._connect.cache_clear()
    system = s3fs.S3FileSystem(use_listings_cache=False)
    system.makedirs("siim", exist_ok=True)
    system.put(str(competition), "siim/tiny", recursive=True)
    system.pipe("siim/tiny/jpeg/train/", b"")  # as consoles make folders
    yield system
    system.rm("siim", recursive=True)
    store.stop()


def test_a_fold_from_a_bucket_is_that_from_the_folder(
    bucket: Any, competition: Path, folds_csv: Path, cache: Path
) -> None:
    here = hashes(train(str(competition), folds_csv, "here"))
    config = config_of("s3://siim/tiny", folds_csv, "there", "--data.num_workers=2")
    train_fold(config, 0)
    assert hashes(RunFolder(config.run_dir).fold(0)) == here


def test_photographs_are_listed_with_their_versions(bucket: Any, cache: Path) -> None:
    mirror = mirror_at(local_folder("s3://siim/tiny"))
    assert mirror is not None
    listed = mirror.listing()
    assert len(listed) == 50
    assert listed["version"].nunique() == 50


def test_a_table_that_changes_is_fetched_again(bucket: Any, cache: Path) -> None:
    folder = local_folder("s3://siim/tiny")
    bucket.pipe("siim/tiny/test.csv", b"image_name\nTEST_000\n")
    assert local_folder("s3://siim/tiny") == folder
    assert (folder / "test.csv").read_text() == "image_name\nTEST_000\n"
    path = find_images(folder, "test", ["TEST_000"])[0]
    assert read_image(path, 16).shape == (16, 16, 3)


@pytest.mark.parametrize("address", ["s3://no-such-bucket/tiny", "s3://siim/elsewhere"])
def test_what_does_not_exist_says_so_at_once(bucket: Any, cache: Path, address: str) -> None:
    with pytest.raises(RemoteError, match=f"{address}: there is no such folder"):
        local_folder(address)


def test_a_place_that_does_not_answer_is_one_message(
    bucket: Any, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("melanoma.remote.storage._PAUSES_S", (0.0,))
    monkeypatch.setitem(os.environ, "AWS_ENDPOINT_URL", "http://127.0.0.1:9")
    monkeypatch.setitem(os.environ, "AWS_MAX_ATTEMPTS", "1")
    s3fs.S3FileSystem.clear_instance_cache()
    storage._connect.cache_clear()
    with pytest.raises(RemoteError, match=r"s3://siim/other/.*cannot be read after 2 attempts"):
        local_folder("s3://siim/other")
