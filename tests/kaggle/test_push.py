import pytest

from fake_kaggle import write_kernel
from kaggle_stub import CUT, Answer, Stub
from melanoma.kaggle.client import page_of

SAVE = "SaveKernel"
PUSH = """
pushed = connect(policy).push(Path("kernel"), "me/melanoma-fold-0")
print(pushed.ref, pushed.version, pushed.url, pushed.versioned_ref)
"""
URL = "https://www.kaggle.com/code/me/melanoma-fold-0"
GOOD = {"versionNumber": 3, "url": URL, "ref": "me/melanoma-fold-0"}


def test_a_kernel_is_pushed_as_it_is(stub: Stub) -> None:
    write_kernel(stub.folder / "kernel")
    stub.on(SAVE, GOOD)
    done = stub.run(PUSH)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == f"me/melanoma-fold-0 3 {URL} me/melanoma-fold-0/3\n"
    (request,) = stub.requests
    sent = request.json
    assert sent["text"] == "print('größer')\n"
    assert sent["slug"] == "me/melanoma-fold-0"
    assert (sent["isPrivate"], sent["enableGpu"], sent["enableInternet"]) == (True, True, False)
    assert sent["machineShape"] == "NvidiaTeslaT4"
    assert sent["competitionDataSources"] == ["siim-isic-melanoma-classification"]


def test_what_the_package_remarks_is_kept(stub: Stub) -> None:
    write_kernel(stub.folder / "kernel", title="another title")
    stub.on(SAVE, GOOD)
    done = stub.run(PUSH + "print(pushed.remarks)")
    assert "kernel title does not resolve to the specified id" in done.stdout


def test_the_name_that_kaggle_gives_is_taken(stub: Stub) -> None:
    write_kernel(stub.folder / "kernel")
    stub.on(SAVE, {**GOOD, "ref": "/code/me/melanoma-fold-zero"})
    assert stub.run(PUSH).stdout.startswith("me/melanoma-fold-zero 3 ")


def test_a_refused_push_is_a_failure(stub: Stub) -> None:
    write_kernel(stub.folder / "kernel")
    stub.on(SAVE, {"error": "Your account is not verified."})
    done = stub.run(PUSH)
    assert done.returncode == 1
    assert done.stderr == (
        "error: me/melanoma-fold-0: Kaggle refuses the kernel: Your account is not verified. "
        "Nothing runs; put it right and push again.\n"
    )


@pytest.mark.parametrize(
    ("field", "kind"),
    [
        ("invalidDatasetSources", "dataset sources"),
        ("invalidCompetitionSources", "competition sources"),
        ("invalidKernelSources", "kernel sources"),
        ("invalidModelSources", "model sources"),
    ],
)
def test_lost_inputs_are_a_failure(stub: Stub, field: str, kind: str) -> None:
    write_kernel(stub.folder / "kernel")
    stub.on(SAVE, {**GOOD, field: ["me/wheels", "me/weights"]})
    done = stub.run(PUSH)
    assert done.returncode == 1
    assert "saved as version 3, but without what Kaggle does not accept" in done.stderr
    assert f"({kind}: me/wheels, me/weights)" in done.stderr
    assert f"cancel or delete it at {URL}" in done.stderr


def test_an_answer_without_a_version_is_a_failure(stub: Stub) -> None:
    write_kernel(stub.folder / "kernel")
    stub.on(SAVE, {})
    done = stub.run(PUSH)
    assert done.returncode == 1
    assert f"Kaggle's answer names no version. Look at {URL}" in done.stderr


@pytest.mark.parametrize("status", [200, 400])
def test_too_many_sessions_are_told_apart(stub: Stub, status: int) -> None:
    write_kernel(stub.folder / "kernel")
    text = "Maximum batch GPU session count of 2 reached."
    stub.on(SAVE, {"error": text} if status == 200 else Answer({"code": 400, "message": text}, 400))
    code = f"from melanoma.kaggle.failures import SessionsTakenError\ntry:{_indented(PUSH)}"
    done = stub.run(f"{code}\nexcept SessionsTakenError as error:\n    print(error)")
    assert "not pushed, 2 kernels of yours run" in done.stdout


def _indented(code: str) -> str:
    return code.replace("\n", "\n    ").rstrip(" ")


def test_what_is_too_large_is_refused_in_kaggles_words(stub: Stub) -> None:
    write_kernel(stub.folder / "kernel")
    text = "The kernel source must be less than 1 megabytes in size."
    stub.on(SAVE, Answer({"code": 400, "message": text}, 400))
    done = stub.run(PUSH)
    assert done.returncode == 1
    assert "Kaggle answers 400 (The kernel source must be less than 1 megabytes" in done.stderr
    assert len(stub.requests) == 1


@pytest.mark.parametrize(
    ("answer", "timeout_s"),
    [(Answer({}, 500), 60.0), (CUT, 60.0), (Answer(GOOD, delay_s=60), 0.3)],
)
def test_a_push_that_may_have_arrived_is_not_repeated(
    stub: Stub, answer: Answer, timeout_s: float
) -> None:
    write_kernel(stub.folder / "kernel")
    stub.on(SAVE, answer)
    done = stub.run(PUSH, timeout_s=timeout_s)
    assert done.returncode == 1
    assert f"Look at {URL} whether it runs before you push again." in done.stderr
    assert len(stub.arrived(1)) == 1


def test_a_push_that_is_not_allowed_is_no_mistake_of_the_command_line(stub: Stub) -> None:
    write_kernel(stub.folder / "kernel")
    stub.on(SAVE, Answer({"code": 403, "message": "rules"}, 403))
    done = stub.run(PUSH)
    assert done.returncode == 1
    assert "pushing me/melanoma-fold-0: Kaggle answers 403 (rules)" in done.stderr


def test_a_push_that_kaggle_had_no_time_for_is_repeated(stub: Stub) -> None:
    write_kernel(stub.folder / "kernel")
    stub.on(SAVE, Answer({}, 429), GOOD)
    assert stub.run(PUSH).returncode == 0
    assert len(stub.requests) == 2


def test_the_packages_own_checks_are_one_message(stub: Stub) -> None:
    write_kernel(stub.folder / "kernel", language="cobol")
    done = stub.run(PUSH)
    assert done.returncode == 2
    assert "pushing me/melanoma-fold-0: A valid language must be specified" in done.stderr
    assert "Kaggle's package has refused it; nothing was done." in done.stderr
    assert stub.requests == []


def test_a_version_is_no_part_of_the_address() -> None:
    assert page_of("me/melanoma-fold-0/3") == page_of("me/melanoma-fold-0") == URL
