import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fake_kaggle import HASTE, FakeKaggle
from kaggle_stub import HTML, Answer, Stub
from melanoma.kaggle.client import Status
from melanoma.kaggle.failures import KernelFailedError, NotFoundError, UnreachableError
from melanoma.kaggle.follow import End, LogPrinter, follow, pieces_of

REF = "me/melanoma-fold-0"
STATUS, OUTPUT = "GetKernelSessionStatus", "ListKernelSessionOutput"
STREAM = f"/api/v1/kernels/logs/stream/{REF}"
FOLLOW = f"""
from melanoma.kaggle.follow import follow
end = follow(connect(policy), {REF!r}, policy)
print(end)
end.check()
"""
QUEUED, RUNNING, COMPLETE = Status("QUEUED"), Status("RUNNING"), Status("COMPLETE")
AWAY = UnreachableError("Kaggle cannot be reached.")


def log_of(*lines: str) -> str:
    events = [{"stream_name": "stdout", "time": n, "data": line} for n, line in enumerate(lines)]
    return json.dumps(events)


def stream_of(*lines: str, end: str = "data: END_OF_LOG\n\n") -> Answer:
    events = "".join(f"data: {json.dumps({'data': line})}\n\n" for line in lines)
    return Answer((events + end).encode(), content_type="text/event-stream")


def said_of(kaggle: FakeKaggle) -> tuple[End, list[str]]:
    said: list[str] = []
    return follow(kaggle, REF, HASTE, said.append), said


def test_a_kernel_is_followed_until_it_is_complete(stub: Stub) -> None:
    stub.on(STATUS, {"status": "QUEUED"}, {"status": "RUNNING"}, {"status": "COMPLETE"})
    stub.on(STREAM, stream_of("found 2 GPUs", "fold 0: AUC 0.91"))
    stub.on(OUTPUT, {"log": log_of("found 2 GPUs\n", "fold 0: ", "AUC 0.91\n", "done\n")})
    done = stub.run(FOLLOW)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.splitlines() == [
        *(f"{REF}: queued", f"{REF}: running", "found 2 GPUs", "fold 0: AUC 0.91"),
        *(f"{REF}: complete", "done", f"End(ref='{REF}', status='COMPLETE', message='')"),
    ]


def test_a_kernel_that_fails_is_a_failure(stub: Stub) -> None:
    stub.on(STATUS, {"status": "ERROR", "failureMessage": "Your notebook ran out of memory."})
    stub.on(OUTPUT, {"log": log_of("Traceback\n")})
    done = stub.run(FOLLOW)
    assert done.returncode == 1
    assert "Traceback\n" in done.stdout
    assert f"error: {REF} has failed: Your notebook ran out of memory. Its log is at" in done.stderr


def test_a_stream_that_breaks_off_is_taken_up_again(stub: Stub) -> None:
    stub.on(STATUS, {"status": "RUNNING"}, {"status": "RUNNING"}, {"status": "COMPLETE"})
    broken = Answer(stream_of("one", "two").body, content_type="text/event-stream", missing=20)
    stub.on(STREAM, broken, stream_of("one", "two", "three"))
    stub.on(OUTPUT, {"log": ""})
    lines = stub.run(FOLLOW).stdout.splitlines()
    assert [line for line in lines if line in ("one", "two", "three")] == ["one", "two", "three"]


def test_a_silent_stream_does_not_hide_the_end(stub: Stub) -> None:
    stub.on(STATUS, {"status": "RUNNING"}, {"status": "COMPLETE"})
    stub.on(STREAM, Answer(stream_of("never").body, delay_s=30))
    stub.on(OUTPUT, {"log": ""})
    assert "status='COMPLETE'" in stub.run(FOLLOW, timeout_s=1.0).stdout


def test_without_a_stream_the_log_is_shown_at_the_end(stub: Stub) -> None:
    stub.on(STATUS, {"status": "RUNNING"}, {"status": "RUNNING"}, {"status": "COMPLETE"})
    stub.on(OUTPUT, {"log": "plain text\nin lines"})
    done = stub.run(FOLLOW)
    assert "The log cannot be followed (following the log of me/melanoma-fold-0: " in done.stdout
    assert "plain text\nin lines\n" in done.stdout
    assert len(stub.got(STREAM)) == 1


def test_kaggle_may_be_away_for_a_while(stub: Stub) -> None:
    away = [Answer({}, 503)] * 3
    stub.on(STATUS, *away, HTML, HTML, HTML, {"status": "COMPLETE"})
    stub.on(OUTPUT, {"log": ""})
    done = stub.run(FOLLOW)
    assert done.returncode == 0
    assert done.stdout.count("(Trying again; the kernel is not touched.)") == 2


def test_kaggle_may_not_be_away_for_ever(stub: Stub) -> None:
    stub.on(STATUS, Answer({}, 503))
    done = stub.run(FOLLOW)
    assert done.returncode == 1
    assert f"{REF} goes on at Kaggle: https://www.kaggle.com/code/{REF}" in done.stdout


def test_away_in_between_is_counted_anew() -> None:
    kaggle = FakeKaggle(
        status=[AWAY, AWAY, RUNNING, AWAY, AWAY, COMPLETE], stream_log=[[]], log=[""]
    )
    assert said_of(kaggle)[0] == End(REF, "COMPLETE")


def test_an_unknown_kernel_is_not_waited_for() -> None:
    with pytest.raises(NotFoundError, match="no such kernel"):
        said_of(FakeKaggle(status=[NotFoundError("no such kernel")]))


def test_interrupting_leaves_the_kernel_alone() -> None:
    said: list[str] = []
    kaggle = FakeKaggle(status=[RUNNING], stream_log=[["fold 0", KeyboardInterrupt()]])
    with pytest.raises(KeyboardInterrupt):
        follow(kaggle, f"{REF}/3", HASTE, said.append, again="python x.py --id me/x")
    assert said[-2] == "fold 0"
    assert said[-1].startswith(f"{REF}/3 goes on at Kaggle")
    assert said[-1].endswith("Follow it again with: python x.py --id me/x")


def test_a_log_that_is_not_to_be_had_costs_nothing() -> None:
    end, said = said_of(FakeKaggle(status=[COMPLETE], log=[AWAY]))
    assert end.is_complete
    assert said[-1] == f"The rest of the log is not shown: {AWAY}"


def test_a_cancelled_kernel_is_followed_until_it_has_stopped() -> None:
    states = [Status("CANCEL_REQUESTED"), Status("CANCEL_ACKNOWLEDGED")]
    end, said = said_of(FakeKaggle(status=states, log=[""]))
    assert said == [f"{REF}: cancel requested", f"{REF}: cancel acknowledged"]
    with pytest.raises(KernelFailedError, match=f"{REF} was cancelled. Its log is at"):
        end.check()


LINES = st.lists(st.text("abc ", min_size=1, max_size=4), max_size=6)


@given(lines=LINES, cuts=st.lists(st.integers(0, 30), max_size=5))
def test_each_line_is_shown_once_however_often_it_comes(lines: list[str], cuts: list[int]) -> None:
    said: list[str] = []
    log = LogPrinter(said.append)
    for cut in [*cuts, len(lines)]:
        log.begin()
        for line in lines[:cut]:
            log.hear(line + "\n")
    assert said == lines


@given(lines=LINES, cuts=st.lists(st.integers(0, 30), max_size=5))
def test_nothing_is_lost_where_the_end_comes_in_other_pieces(
    lines: list[str], cuts: list[int]
) -> None:
    said: list[str] = []
    log = LogPrinter(said.append)
    text = "\n".join(lines)
    for cut in cuts:
        log.begin()
        log.hear(text[:cut])
    log.begin()
    log.hear(text)
    assert "".join(said) == "".join(lines)


@given(lines=st.lists(st.text()))
def test_a_log_is_taken_apart(lines: list[str]) -> None:
    log = json.dumps([{"stream_name": "stderr", "time": 0.1, "data": line} for line in lines])
    assert pieces_of(log) == lines


@pytest.mark.parametrize("log", ["", "no JSON", "7", '["a"]', '[{"time": 1}]', "null"])
def test_what_is_no_list_of_events_is_shown_as_it_is(log: str) -> None:
    assert pieces_of(log) == [log]
