import json
from pathlib import Path

import pytest

from fake_kaggle import HASTE, FakeKaggle
from kaggle_stub import Answer, Stub
from melanoma.kaggle.client import DatasetState
from melanoma.kaggle.failures import RefusedError, UnreachableError
from melanoma.kaggle.wheels import METADATA, Wheels, upload_wheels

REF = "me/melanoma-wheels"
STATUS, GET, BLOB = "GetDatasetStatus", "GetDataset", "StartBlobUpload"
CREATE, VERSION = "CreateDataset", "CreateDatasetVersion"
UPLOAD = """
from melanoma.kaggle.wheels import Wheels, upload_wheels
files = {path.name: path.stat().st_size for path in Path("wheels").glob("*.whl")}
upload_wheels(connect(policy), Wheels(Path("wheels"), "me/melanoma-wheels", files), policy, 1)
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
        f"ready: https://www.kaggle.com/datasets/{REF}; attach it with --datasets {REF}",
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
    assert sent["body"]["versionNotes"] == "wheels and weights"


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


def upload(kaggle: FakeKaggle, folder: Path, limit_s: float = 1800.0) -> None:
    write_dataset(folder)
    wheels = Wheels(folder, REF, {"a-1-py3-none-any.whl": 20})
    upload_wheels(kaggle, wheels, HASTE, limit_s, say=lambda _: None)


@pytest.mark.parametrize("status", ["failed", "deleted"])
def test_a_dataset_that_cannot_be_processed_is_a_failure(tmp_path: Path, status: str) -> None:
    kaggle = FakeKaggle(dataset=[None, DatasetState(status)], send_dataset=[None])
    with pytest.raises(RefusedError, match=rf"could not process the dataset \({status}\). Look at"):
        upload(kaggle, tmp_path / "wheels")


def test_a_dataset_is_not_waited_for_for_ever(tmp_path: Path) -> None:
    states = [None, UnreachableError("away"), None, DatasetState("blobs_received", 1)]
    kaggle = FakeKaggle(dataset=states, send_dataset=[None])
    with pytest.raises(
        RefusedError, match=r"not ready after 5 minutes \(blobs_received, version 1"
    ):
        upload(kaggle, tmp_path / "wheels", limit_s=300)
    assert len(kaggle.calls) == 2 + 10
