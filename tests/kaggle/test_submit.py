import json
from pathlib import Path
from typing import Any

import pytest

from fake_kaggle import HASTE, FakeKaggle
from kaggle_stub import Answer, Stub
from melanoma.errors import ConfigError, RunError, TableError
from melanoma.files import sha256_of
from melanoma.kaggle.cli import submit
from melanoma.kaggle.client import Accepted, Score
from melanoma.kaggle.failures import UnreachableError
from melanoma.kaggle.submit import Submitted, await_score, check_submission, describe, submit_run

START, CREATE, LIST = "StartSubmissionUpload", "CreateSubmission", "ListSubmissions"
SUBMIT = """
from melanoma.kaggle.submit import await_score, submit_run
submitted = submit_run(connect(policy), Path("baseline"))
print(submitted.message)
print(submitted.answer)
await_score(connect(policy), submitted, policy)
"""
CSV = "image_name,target\nISIC_1,0.25\nISIC_2,0.5\n"
CHOSEN = {"nested": False, "pooled_auc": 0.93124, "low": 0.92, "high": 0.9412}
MESSAGE = "baseline: one run, 5 folds, pooled AUC 0.9312 (0.9200-0.9412)"


def write_run(folder: Path, csv: str = CSV, **changed: Any) -> Path:
    folder.mkdir(exist_ok=True)
    (folder / "submission.csv").write_text(csv, encoding="utf-8")
    content = {
        "method": "mean",
        "runs": ["baseline"],
        "context": None,
        "folds": [0, 1, 2, 3, 4],
        "chosen": CHOSEN,
        "outputs": {"submission.csv": sha256_of(folder / "submission.csv")},
        **changed,
    }
    (folder / "submission.json").write_text(json.dumps(content), encoding="utf-8")
    return folder


def test_a_submission_is_handed_in_with_its_estimate(stub: Stub) -> None:
    write_run(stub.folder / "baseline")
    stub.on(START, {"token": "blob-token", "createUrl": stub.signed("/up")})
    stub.on("/up", {})
    stub.on(CREATE, {"message": "Successfully submitted to SIIM-ISIC", "ref": 7})
    earlier = {"ref": 6, "status": "COMPLETE", "publicScore": "0.5", "description": MESSAGE}
    listed = [
        {"ref": 7, "status": "PENDING"},
        {"ref": 7, "status": "COMPLETE", "publicScore": "0.91"},
    ]
    stub.on(LIST, *({"submissions": [one, earlier]} for one in listed))
    done = stub.run(SUBMIT)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.splitlines() == [
        MESSAGE,
        "Accepted(message='Successfully submitted to SIIM-ISIC', number=7)",
        "baseline/submission.csv: is being scored",
        "baseline/submission.csv: scored, public 0.91",
    ]
    assert stub.got("/up")[0].body == CSV.encode()
    assert stub.got(CREATE)[0].json == {
        "competitionName": "siim-isic-melanoma-classification",
        "blobFileTokens": "blob-token",
        "submissionDescription": MESSAGE,
    }


KERNEL = """
from melanoma.kaggle.submit import await_score, submit_kernel
submitted = submit_kernel(connect(policy), "me/melanoma-predict", 3, Path("baseline"))
await_score(connect(policy), submitted, policy)
"""


def test_a_kernel_is_handed_in_and_its_score_followed(stub: Stub) -> None:
    write_run(stub.folder / "baseline")
    stub.on("CreateCodeSubmission", {"message": "Successfully submitted", "ref": 9})
    scored = {"ref": 9, "status": "COMPLETE", "publicScore": "0.93", "privateScore": "0.92"}
    pending = {"ref": 9, "status": "PENDING"}
    stub.on(LIST, {}, {"submissions": [pending]}, Answer({}, 503), {"submissions": [scored]})
    done = stub.run(KERNEL)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.splitlines() == [
        "me/melanoma-predict, version 3: is being scored",
        "me/melanoma-predict, version 3: scored, public 0.93, private 0.92",
    ]
    assert stub.got("CreateCodeSubmission")[0].json == {
        "competitionName": "siim-isic-melanoma-classification",
        "kernelOwner": "me",
        "kernelSlug": "melanoma-predict",
        "kernelVersion": 3,
        "fileName": "submission.csv",
        "submissionDescription": MESSAGE,
    }


def test_a_kernel_that_fails_on_the_hidden_test_set_is_a_failure(stub: Stub) -> None:
    write_run(stub.folder / "baseline")
    stub.on("CreateCodeSubmission", {"message": "Successfully submitted"})
    failed = {"status": "ERROR", "description": MESSAGE, "errorDescription": "Notebook Timeout"}
    stub.on(LIST, {"submissions": [failed]})  # without a number it is known by its message
    done = stub.run(KERNEL)
    assert done.returncode == 1
    assert (
        "me/melanoma-predict, version 3: could not be scored: Notebook Timeout. See" in done.stderr
    )


@pytest.mark.parametrize("answer", [{"code": 400, "message": "not a code competition"}])
def test_a_kernel_that_is_refused_is_a_failure(stub: Stub, answer: dict[str, Any]) -> None:
    write_run(stub.folder / "baseline")
    stub.on("CreateCodeSubmission", Answer(answer, 400))
    done = stub.run(KERNEL)
    assert done.returncode == 1
    assert "Kaggle answers 400 (not a code competition). It says why" in done.stderr


def waited(*scores: Any) -> list[str]:
    said: list[str] = []
    submitted = Submitted("x.csv", "siim", "message", Accepted("taken"))
    try:
        await_score(FakeKaggle(score=scores), submitted, HASTE, said.append)
    except (UnreachableError, KeyboardInterrupt) as error:
        said.append(type(error).__name__)
    return said


def test_waiting_for_a_score_may_be_given_up() -> None:
    away = UnreachableError("away.")
    pending, done = Score("PENDING"), Score("COMPLETE")
    assert waited(None, pending, pending, done) == [
        "x.csv: is being scored", "x.csv: scored, no score is shown",
    ]  # fmt: skip
    assert waited(away, away, done)[-1] == "x.csv: scored, no score is shown"
    page = "https://www.kaggle.com/competitions/siim/submissions"
    for scores, name in (
        ([away], "UnreachableError"),
        ([KeyboardInterrupt()], "KeyboardInterrupt"),
    ):
        assert waited(*scores)[-2:] == [f"x.csv is scored at Kaggle: {page}", name]


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"kernel": "me/kernel"}, "--kernel and --version: belong together"),
        ({"version": 3}, "--kernel and --version: belong together"),
        ({"kernel": "kernel", "version": 3}, "--kernel kernel: not understood"),
        ({}, "--run-dir or --kernel: say what is handed in"),
    ],
)
def test_what_is_handed_in_has_to_be_said(given: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        submit(**given)


def test_an_upload_that_fails_is_a_failure(stub: Stub) -> None:
    write_run(stub.folder / "baseline")
    stub.on(START, {"token": "blob-token", "createUrl": stub.signed("/up")})
    stub.on("/up", Answer({}, 400))
    done = stub.run(SUBMIT)
    assert done.returncode == 1
    assert "the file could not be uploaded; it does not count as a submission" in done.stderr
    assert stub.got(CREATE) == []


def test_an_answer_that_says_nothing_is_a_failure(stub: Stub) -> None:
    write_run(stub.folder / "baseline")
    stub.on(START, {"token": "blob-token", "createUrl": stub.signed("/up")})
    stub.on("/up", {})
    stub.on(CREATE, {})
    assert stub.run(SUBMIT).returncode == 1


@pytest.mark.parametrize(
    ("answer", "message"),
    [
        (Answer({"code": 403, "message": "accept the rules"}, 403), "403 (accept the rules)"),
        (Answer({"code": 400, "message": "5 a day"}, 400), "400 (5 a day). It says why"),
        (Answer({}, 502), "whether it has arrived before you submit again"),
    ],
    ids=["rules", "limit", "down"],
)
def test_a_submission_that_is_refused_is_a_failure(
    stub: Stub, answer: Answer, message: str
) -> None:
    write_run(stub.folder / "baseline")
    stub.on(START, {"token": "blob-token", "createUrl": stub.signed("/up")})
    stub.on("/up", {})
    stub.on(CREATE, answer)
    done = stub.run(SUBMIT)
    assert done.returncode == 1
    assert message in done.stderr
    assert len(stub.got(CREATE)) == 1  # five a day are allowed


def test_a_message_of_ones_own_needs_no_description(tmp_path: Path) -> None:
    (write_run(tmp_path / "baseline") / "submission.json").unlink()
    kaggle = FakeKaggle(submit=["taken"])
    assert submit_run(kaggle, tmp_path / "baseline", "by hand").answer == Accepted("taken")
    assert kaggle.calls == ["submit by hand"]
    with pytest.raises(RunError, match=r"submission.json: is missing, or .* --message"):
        submit_run(kaggle, tmp_path / "baseline")


@pytest.mark.parametrize(
    ("csv", "message"),
    [
        ("", "the file is empty"),
        ("image_name,prediction\na,0.5\n", "no column target"),
        (
            "image_name,target,age\na,0.5,60\n",
            "image_name, target and nothing else. Build it again",
        ),
        ("image_name,target\na,0.5\na,0.5\n", "a occurs more than once"),
        ("image_name,target\na,1.5\n", r"target of a \(1.5\) is not a number between 0 and 1"),
        ("image_name,target\na,\n", r"target of a \(nan\) is not a number"),
    ],
)
def test_what_is_no_submission_is_not_sent(tmp_path: Path, csv: str, message: str) -> None:
    kaggle = FakeKaggle()
    with pytest.raises(TableError, match=message):
        submit_run(kaggle, write_run(tmp_path / "baseline", csv))
    assert kaggle.calls == []


def test_a_missing_submission_is_named(tmp_path: Path) -> None:
    with pytest.raises(TableError, match=r"submission.csv: no such file"):
        check_submission(tmp_path)


def test_a_submission_that_was_changed_is_not_sent(tmp_path: Path) -> None:
    run_dir = write_run(tmp_path / "baseline", outputs={"submission.csv": "0" * 64})
    with pytest.raises(RunError, match=r"has changed since submission.json .* Build it again"):
        check_submission(run_dir)


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"chosen": {**CHOSEN, "nested": True}}, MESSAGE.replace("pooled", "nested pooled")),
        ({"runs": ["a", "b"]}, MESSAGE.replace("one run", "mean of 2 runs")),
        ({"context": {"weights": [1]}}, MESSAGE.replace("one run", "one run, with context")),
        ({"chosen": None, "folds": []}, "baseline: one run, no out-of-fold estimate"),
    ],
)
def test_the_message_says_what_it_is_made_of(
    tmp_path: Path, changed: dict[str, Any], message: str
) -> None:
    assert describe(write_run(tmp_path / "baseline", **changed)) == message
