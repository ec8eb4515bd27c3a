"""The real client, sent to a stand-in for Kaggle: what it does with what may be answered."""

import json

import pytest

from kaggle_stub import CUT, HTML, KEY, TOKEN, Answer, Stub

STATUS = "GetKernelSessionStatus"
ASK = "print(connect(policy).status('me/kernel').name)"


def test_the_key_signs_every_request(stub: Stub) -> None:
    stub.on(STATUS, {"status": "RUNNING"})
    done = stub.run(ASK)
    assert (done.returncode, done.stdout, done.stderr) == (0, "RUNNING\n", "")
    assert [request.authorization[:6] for request in stub.requests] == ["Basic "]
    assert stub.requests[0].json == {"userName": "me", "kernelSlug": "kernel"}


def test_a_token_is_looked_up_and_carried(stub: Stub) -> None:
    stub.on("IntrospectToken", {"active": True, "username": "someone"})
    stub.on(STATUS, {"status": "RUNNING"})
    done = stub.run(ASK, KAGGLE_API_TOKEN=TOKEN)
    assert (done.returncode, done.stdout, done.stderr) == (0, "RUNNING\n", "")
    assert stub.got(STATUS)[0].authorization == f"Bearer {TOKEN}"


def test_a_wrong_token_is_named_as_such(stub: Stub) -> None:
    stub.on("IntrospectToken", Answer({"code": 401, "message": f"unknown token {TOKEN}"}, 401))
    done = stub.run(ASK, KAGGLE_API_TOKEN=TOKEN)
    assert done.returncode == 2
    assert "signing in at Kaggle: Kaggle answers 401 (unknown token ***)" in done.stderr
    assert "Your token or key is not accepted. Make a token at" in done.stderr
    assert stub.got(STATUS) == []


def test_a_token_that_is_not_active_any_more_is_no_credential(stub: Stub) -> None:
    stub.on("IntrospectToken", {"active": False})
    stub.environment.pop("KAGGLE_KEY")
    done = stub.run(ASK, KAGGLE_API_TOKEN=TOKEN)
    assert done.returncode == 2
    assert "no credentials that Kaggle accepts. Make a token at" in done.stderr
    assert done.stdout == ""  # the package prints pages of help


@pytest.mark.parametrize(
    ("answer", "message"),
    [
        (Answer({"code": 401, "message": "Unauthorized"}, 401), r"401 (Unauthorized). Your token"),
        (
            Answer({"code": 403, "message": "denied"}, 403),
            "403 (denied). Check the owner and the name",
        ),
        (Answer({"code": 404, "message": "no such"}, 404), "404 (no such). Check the owner and"),
        ({"code": 404, "message": "hidden in HTTP 200"}, "404 (hidden in HTTP 200). Check the"),
        (Answer(b"oops", 500, "text/plain"), "Kaggle answers 500 (500 Server Error"),
        (Answer({}, 429), "Kaggle may be overloaded or down; try again later"),
        (HTML, "the answer cannot be read (JSONDecodeError"),
        (CUT, "A proxy may have answered in place of Kaggle"),
        (Answer(b"null"), "the answer cannot be read (TypeError"),
        ({"status": "PAUSED"}, "the answer cannot be read (KeyError: 'PAUSED')"),
    ],
    ids=["401", "403", "404", "within-200", "500", "429", "html", "cut", "null", "unknown-status"],
)
def test_what_went_wrong_is_one_message(stub: Stub, answer: Answer, message: str) -> None:
    stub.on(STATUS, answer)
    done = stub.run(ASK)
    assert done.returncode == (2 if "401" in message else 1)  # of 401 nothing can have come
    assert done.stderr.startswith("error: asking how far me/kernel is: ")
    assert message in done.stderr
    assert (done.stdout, done.stderr.count("\n")) == ("", 1)


def test_what_cannot_be_had_for_now_is_asked_for_again(stub: Stub) -> None:
    stub.on(STATUS, Answer({}, 503), HTML, {"status": "COMPLETE"})
    assert stub.run(ASK).stdout == "COMPLETE\n"
    assert len(stub.requests) == 3


def test_a_slow_answer_is_not_waited_for(stub: Stub) -> None:
    stub.on(STATUS, Answer({"status": "RUNNING"}, delay_s=30))
    done = stub.run(ASK, timeout_s=0.2)
    assert done.returncode == 1
    assert "asking how far me/kernel is: no answer in time" in done.stderr
    assert len(stub.arrived(3)) == 3


def test_a_server_that_is_down_is_named(stub: Stub) -> None:
    stub.close()
    done = stub.run(ASK)
    assert done.returncode == 1
    assert "Kaggle cannot be reached" in done.stderr
    assert "Check the connection, and the proxy if you use one" in done.stderr


def test_nothing_secret_is_shown_where_the_package_prints_its_requests(stub: Stub) -> None:
    stub.on(STATUS, Answer(f"your key is {KEY}".encode(), 400, "text/plain"))
    done = stub.run(ASK, VERBOSE="1")
    assert done.returncode == 1
    assert done.stdout == ""


@pytest.mark.parametrize("missing", ["kaggle", "six"])
def test_without_the_package_it_is_said_how_to_install_it(stub: Stub, missing: str) -> None:
    code = f"""
    from unittest import mock
    from importlib.util import find_spec
    found = lambda name: None if name == {missing!r} else find_spec(name)
    with mock.patch("melanoma.kaggle.client.find_spec", found):
        connect(policy)
    """
    done = stub.run(code)
    assert done.returncode == 2
    assert f"error: {missing}: not installed" in done.stderr
    assert "`pip install -r requirements-kaggle.txt`" in done.stderr


def test_a_package_that_is_broken_is_named(stub: Stub) -> None:
    code = """
    sys.modules["kagglesdk"] = None
    connect(policy)
    """
    done = stub.run(code)
    assert done.returncode == 2
    assert "Kaggle's package cannot be loaded (import of kagglesdk halted" in done.stderr


def test_without_credentials_nothing_is_sent(stub: Stub) -> None:
    for name in ("KAGGLE_USERNAME", "KAGGLE_KEY"):
        stub.environment.pop(name)
    done = stub.run(ASK)
    assert done.returncode == 2
    assert (
        "signing in at Kaggle: no credentials that Kaggle accepts. Make a token at" in done.stderr
    )
    assert "https://www.kaggle.com/settings" in done.stderr
    assert (done.stdout, stub.requests) == ("", [])


def test_the_version_is_asked_for_where_it_is_known(stub: Stub) -> None:
    stub.on(STATUS, {"status": "COMPLETE"})
    assert stub.run("print(connect(policy).status('me/kernel/7').name)").returncode == 0
    assert json.loads(stub.requests[0].body)["versionLabel"] == "v7"
