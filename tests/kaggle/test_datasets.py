import json
from pathlib import Path

import pytest

from fake_kaggle import HASTE, FakeKaggle
from kaggle_stub import Answer, Stub
from melanoma.errors import ConfigError
from melanoma.kaggle.datasets import METADATA, upload_dataset
from melanoma.kaggle.failures import RefusedError, UnreachableError
from melanoma.kaggle.service import DatasetState, Received

REF = "me/melanoma-wheels"
STATUS, GET, BLOB = "GetDatasetStatus", "GetDataset", "StartBlobUpload"
CREATE, VERSION = "CreateDataset", "CreateDatasetVersion"
UPLOAD = """
from melanoma.kaggle.datasets import upload_dataset
print(upload_dataset(connect(patience), Path("wheels"), "torchmetrics 1.9.0", patience, limit_s=1))
"""
OK = {"status": "ok", "url": f"https://www.kaggle.com/datasets/{REF}"}
NONE = Answer({"code": 404, "message": "not found"}, 404)


def write_dataset(folder: Path, ref: object = REF) -> Path:
    folder.mkdir()
    metadata = {"title": "Melanoma wheels", "id": ref, "licenses": [{"name": "Apache 2.0"}]}
    (folder / METADATA).write_text(json.dumps(metadata), encoding="utf-8")
    for name in ("a-1-py3-none-any.whl", "b-2-py3-none-any.whl"):
        (folder / name).write_bytes(name.encode())
    return folder


def take_uploads(stub: Stub, *answers: Answer, first: int = 0) -> None:
    numbers = (first, first + 1)
    stub.on(BLOB, *[{"token": f"t{n}", "createUrl": stub.signed(f"/up/{n}")} for n in numbers])
    for n, answer in zip(numbers, answers or (Answer(), Answer())):
        stub.on(f"/up/{n}", answer)


def test_a_dataset_is_made_and_waited_for(stub: Stub) -> None:
    write_dataset(stub.folder / "wheels")
    take_uploads(stub)
    stub.on(STATUS, NONE, NONE, {"status": "BLOBS_RECEIVED"}, {"status": "READY"})
    stub.on(GET, {"currentVersionNumber": 1})
    stub.on(CREATE, OK)
    done = stub.run(UPLOAD)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.splitlines() == [
        f"{REF}: uploading 2 files, 40 bytes, as the first version",
        *(f"{REF}: ready", REF),
    ]
    (sent,) = [request.json for request in stub.got(CREATE)]
    assert (sent["slug"], sent["ownerSlug"]) == ("melanoma-wheels", "me")
    assert sent["isPrivate"]
    assert sent["files"] == [{"token": "t0"}, {"token": "t1"}]
    uploaded = {request.body for n in (0, 1) for request in stub.got(f"/up/{n}")}
    assert uploaded == {b"a-1-py3-none-any.whl", b"b-2-py3-none-any.whl"}
    assert len(stub.got(STATUS)) == 4


def test_a_new_version_is_not_taken_for_the_one_before(stub: Stub) -> None:
    write_dataset(stub.folder / "wheels")
    take_uploads(stub)
    stub.on(STATUS, {"status": "READY"})
    stub.on(GET, *[{"currentVersionNumber": version} for version in (4, 4, 4, 5)])
    stub.on(VERSION, OK)
    assert stub.run(UPLOAD).returncode == 0
    assert len(stub.got(GET)) == 4
    (sent,) = [request.json for request in stub.got(VERSION)]
    assert sent["body"]["versionNotes"] == "torchmetrics 1.9.0"


def test_a_refused_dataset_is_a_failure(stub: Stub) -> None:
    write_dataset(stub.folder / "wheels")
    take_uploads(stub)
    stub.on(STATUS, NONE)
    stub.on(CREATE, {"status": "error", "error": "You have no space left."})
    done = stub.run(UPLOAD)
    assert done.returncode == 1
    assert f"{REF}: Kaggle refuses the dataset: You have no space left. Put it" in done.stderr


def test_no_dataset_is_made_without_a_file_that_could_not_be_uploaded(stub: Stub) -> None:
    write_dataset(stub.folder / "wheels")
    take_uploads(stub, Answer(), Answer({}, 400))
    stub.on(STATUS, NONE)
    stub.on(CREATE, OK)
    done = stub.run(UPLOAD)
    assert done.returncode == 1
    assert "wheels: only 1 of 2 files could be uploaded" in done.stderr
    assert stub.got(CREATE) == []
    # What was refused is not in the way of the next attempt.
    take_uploads(stub, first=2)
    stub.on(STATUS, NONE, NONE, {"status": "READY"})
    stub.on(GET, {"currentVersionNumber": 1})
    assert stub.run(UPLOAD).returncode == 0
    assert [request.json["files"] for request in stub.got(CREATE)] == [
        [{"token": "t2"}, {"token": "t3"}]
    ]


@pytest.mark.parametrize(
    ("received", "message"),
    [
        (Received(status="pending"), "refuses the dataset: status 'pending'. Put it right"),
        (Received(status="ok", lost=["skin"]), r"made, but without the tags skin, which Kaggle"),
    ],
)
def test_what_is_not_all_right_is_a_failure(
    tmp_path: Path, received: Received, message: str
) -> None:
    kaggle = FakeKaggle(dataset=[None], create_dataset=[received])
    with pytest.raises(RefusedError, match=message):
        upload_dataset(kaggle, write_dataset(tmp_path / "wheels"), "", HASTE, say=lambda _: None)


@pytest.mark.parametrize("status", ["failed", "deleted"])
def test_a_dataset_that_cannot_be_processed_is_a_failure(tmp_path: Path, status: str) -> None:
    kaggle = FakeKaggle(dataset=[None, DatasetState(status)], create_dataset=[Received("", "ok")])
    with pytest.raises(RefusedError, match=rf"could not process the dataset \({status}\). Look at"):
        upload_dataset(kaggle, write_dataset(tmp_path / "wheels"), "", HASTE, say=lambda _: None)


def test_a_dataset_is_not_waited_for_for_ever(tmp_path: Path) -> None:
    kaggle = FakeKaggle(
        dataset=[None, UnreachableError("away"), None, DatasetState("blobs_received", 1)],
        create_dataset=[Received("", "ok")],
    )
    with pytest.raises(
        RefusedError, match=r"not ready after 5 minutes \(blobs_received, version 1"
    ):
        upload_dataset(
            kaggle, write_dataset(tmp_path / "wheels"), "", HASTE, limit_s=300, say=lambda _: None
        )
    assert len(kaggle.calls) == 2 + 10


@pytest.mark.parametrize("ref", ["slug", "me/short", "me/" + "a" * 51, 7])
def test_a_name_that_is_none_is_refused(tmp_path: Path, ref: object) -> None:
    with pytest.raises(ConfigError, match=r"id .* is not owner/slug with 6 to 50 characters"):
        upload_dataset(FakeKaggle(), write_dataset(tmp_path / "wheels", ref), "")


def test_what_would_be_left_out_is_refused(tmp_path: Path) -> None:
    folder = write_dataset(tmp_path / "wheels")
    (folder / "inner").mkdir()
    with pytest.raises(ConfigError, match=r"holds folders \(inner\), .* Put their files beside"):
        upload_dataset(FakeKaggle(), folder, "")


def test_an_empty_dataset_is_refused(tmp_path: Path) -> None:
    folder = write_dataset(tmp_path / "wheels")
    for wheel in folder.glob("*.whl"):
        wheel.unlink()
    with pytest.raises(ConfigError, match=r"holds nothing but dataset-metadata.json"):
        upload_dataset(FakeKaggle(), folder, "")
    (folder / METADATA).unlink()
    with pytest.raises(ConfigError, match=r"cannot be read, or names no id .* It takes title, id"):
        upload_dataset(FakeKaggle(), folder, "")
