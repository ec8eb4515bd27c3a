from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from fake_kaggle import HASTE, FakeKaggle, write_kernel
from kaggle_stub import Stub
from melanoma.errors import RunError
from melanoma.kaggle.client import Status
from melanoma.kaggle.failures import (
    KaggleError,
    NotFoundError,
    RefusedError,
    SessionsTakenError,
    UnreachableError,
)
from melanoma.kaggle.follow import End
from melanoma.kaggle.queueing import AT_ONCE, Queue, Queued

FULL = "Maximum batch GPU session count of 2 reached."
RUNNING, COMPLETE = Status("RUNNING"), Status("COMPLETE")
TAKEN = SessionsTakenError("me/x: not pushed, 2 kernels of yours run.")
AWAY = UnreachableError("Kaggle cannot be reached.")


def folders_in(place: Path, count: int = 3) -> list[Path]:
    place.mkdir(exist_ok=True)
    return [write_kernel(place / f"{k}", id=f"me/fold-{k}") for k in range(count)]


class Desk:
    """A queue of three kernels, whose command can be repeated."""

    def __init__(self, place: Path) -> None:
        self.folders = folders_in(place / "build")
        self.state = place / "build" / "queue.json"
        self.said: list[str] = []

    def push(self, kaggle: FakeKaggle, **options: Any) -> Queued:
        at_once = options.pop("at_once", AT_ONCE)
        options = {"policy": HASTE, "say": self.said.append, **options}
        kernels = {f"me/fold-{k}": folder for k, folder in enumerate(self.folders)}
        return Queue(kaggle, kernels, self.state, **options).run(at_once)


@pytest.fixture
def desk(tmp_path: Path) -> Desk:
    return Desk(tmp_path)


def most_at_once(calls: list[str]) -> int:
    """How many were pushed and not yet seen to be complete; each is complete when first looked at."""
    running: set[str] = set()
    most = 0
    for call in calls:
        name, ref = call.split(" ")
        fold = "/".join(ref.split("/")[:2])
        running = running | {fold} if name == "push" else running - {fold}
        most = max(most, len(running))
    return most


@pytest.mark.parametrize("at_once", [1, 2, 3])
def test_so_many_run_at_a_time(desk: Desk, at_once: int) -> None:
    kaggle = FakeKaggle(push=[1], status=[COMPLETE])
    queued = desk.push(kaggle, at_once=at_once)
    assert queued.ends == [End(f"me/fold-{k}", "COMPLETE") for k in range(3)]
    assert (queued.exit_code, most_at_once(kaggle.calls)) == (0, at_once)
    assert queued.as_text() == "\n".join(f"me/fold-{k}: complete" for k in range(3))


def test_one_that_fails_does_not_stop_the_others(desk: Desk) -> None:
    kaggle = FakeKaggle(push=[1], status=[COMPLETE])
    kaggle.on("push me/fold-0", RefusedError("No such accelerator."))
    kaggle.on("status me/fold-1/1", RUNNING, Status("ERROR", "out of memory"))
    kaggle.on("log me/fold-1", "\n".join(f"line {number}" for number in range(30)))
    ended: list[End] = []
    queued = desk.push(kaggle, fetch=ended.append)
    assert [end.status for end in queued.ends] == ["NOT PUSHED", "ERROR", "COMPLETE"]
    assert queued.exit_code == 1
    assert {end.ref for end in ended} == {"me/fold-1", "me/fold-2"}  # of 0 an older version may be
    assert "me/fold-0: not pushed (No such accelerator.)" in queued.as_text()
    assert "me/fold-1: error (out of memory)" in queued.as_text()
    shown = [line for line in desk.said if " | line " in line]
    assert shown == [f"me/fold-1 | line {number}" for number in range(10, 30)]
    # What has ended well is left alone by the next call; the rest is pushed again.
    kaggle = FakeKaggle(push=[2], status=[COMPLETE])
    assert desk.push(kaggle).exit_code == 0
    pushed = [call for call in kaggle.calls if call.startswith("push")]
    assert pushed == ["push me/fold-0", "push me/fold-1"]


def test_outputs_that_are_not_in_order_are_a_failure_of_that_kernel(desk: Desk) -> None:
    def refuse(end: End) -> None:
        if end.ref == "me/fold-1":
            raise RunError("runs/b: of another run")

    queued = desk.push(FakeKaggle(push=[1], status=[COMPLETE]), fetch=refuse)
    assert [end.status for end in queued.ends] == ["COMPLETE", "NOT FETCHED", "COMPLETE"]
    assert queued.ends[1].message == "runs/b: of another run"
    # The next call fetches that one, and no other.
    ended: list[End] = []
    assert desk.push(FakeKaggle(), fetch=ended.append).exit_code == 0
    assert [end.ref for end in ended] == ["me/fold-1"]


def test_what_is_not_at_home_any_more_is_fetched_again(desk: Desk) -> None:
    desk.push(FakeKaggle(push=[1], status=[COMPLETE]))
    ended: list[End] = []
    desk.push(FakeKaggle(), fetch=ended.append, is_home=lambda ref: ref != "me/fold-2")
    assert [end.ref for end in ended] == ["me/fold-2"]


def test_why_a_kernel_failed_is_not_hidden_by_what_it_has_not_left(desk: Desk) -> None:
    def nothing(end: End) -> None:
        raise KaggleError("404, check the owner")

    kaggle = FakeKaggle(push=[1], status=[Status("ERROR", "quota")], log=[AWAY])
    queued = desk.push(kaggle, fetch=nothing)
    assert {(end.status, end.message) for end in queued.ends} == {("ERROR", "quota")}


def test_an_interrupted_queue_is_taken_up_where_it_was(desk: Desk) -> None:
    kaggle = FakeKaggle(push=[4], status=[RUNNING])
    kaggle.on("status me/fold-0/4", COMPLETE)
    kaggle.on("status me/fold-1/4", RUNNING, KeyboardInterrupt())
    with pytest.raises(KeyboardInterrupt):
        desk.push(kaggle)
    assert desk.said[-1].startswith("me/fold-1, me/fold-2 goes on at Kaggle; repeat the command")
    kaggle = FakeKaggle(status=[COMPLETE])
    assert desk.push(kaggle).exit_code == 0
    assert kaggle.calls == ["status me/fold-1/4", "status me/fold-2/4"]


def test_what_was_killed_in_pushing_is_looked_for(desk: Desk) -> None:
    kaggle = FakeKaggle(push=[1], status=[RUNNING])
    kaggle.on("push me/fold-0", KeyboardInterrupt())
    with pytest.raises(KeyboardInterrupt):
        desk.push(kaggle)
    kaggle = FakeKaggle(push=[1], status=[COMPLETE])
    kaggle.on("status me/fold-0", RUNNING, COMPLETE)
    assert desk.push(kaggle).exit_code == 0
    assert "push me/fold-0" not in kaggle.calls


@pytest.mark.parametrize("found", [COMPLETE, NotFoundError("no such kernel")])
def test_what_was_killed_before_pushing_is_pushed(desk: Desk, found: Any) -> None:
    kaggle = FakeKaggle(push=[KeyboardInterrupt()])
    with pytest.raises(KeyboardInterrupt):
        desk.push(kaggle)
    kaggle = FakeKaggle(push=[1], status=[COMPLETE])
    kaggle.on("status me/fold-0", found)
    assert desk.push(kaggle).exit_code == 0
    assert "push me/fold-0" in kaggle.calls


def test_another_kernel_of_the_same_name_is_pushed(desk: Desk) -> None:
    assert desk.push(FakeKaggle(push=[1], status=[COMPLETE])).exit_code == 0
    (desk.folders[1] / "kernel.py").write_text("print('changed')\n", encoding="utf-8")
    kaggle = FakeKaggle(push=[2], status=[COMPLETE])
    assert desk.push(kaggle).exit_code == 0
    assert kaggle.calls == ["push me/fold-1", "status me/fold-1/2"]


def test_taken_sessions_are_waited_for(desk: Desk) -> None:
    kaggle = FakeKaggle(push=[TAKEN, TAKEN, TAKEN, 1], status=[COMPLETE])
    assert desk.push(kaggle).exit_code == 0
    assert sum("pushed as soon as there is room" in line for line in desk.said) == 1


def test_a_kernel_that_waits_for_room_is_not_taken_for_its_earlier_version(desk: Desk) -> None:
    def interrupt(_: float) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        desk.push(FakeKaggle(push=[TAKEN]), policy=replace(HASTE, sleep=interrupt))
    kaggle = FakeKaggle(push=[1], status=[RUNNING, COMPLETE])
    assert desk.push(kaggle).exit_code == 0
    assert "push me/fold-0" in kaggle.calls


def test_taken_sessions_are_not_waited_for_for_ever(desk: Desk) -> None:
    with pytest.raises(SessionsTakenError, match="not pushed, 2 kernels of yours run"):
        desk.push(FakeKaggle(push=[TAKEN]), policy=replace(HASTE, interval_s=3600))


def test_a_push_of_which_nobody_knows_is_looked_for_by_the_next_call(desk: Desk) -> None:
    kaggle = FakeKaggle(push=[1], status=[COMPLETE])
    kaggle.on("push me/fold-0", AWAY)
    assert desk.push(kaggle).ends[0].status == "NOT PUSHED"
    kaggle = FakeKaggle(status=[RUNNING, COMPLETE])
    assert desk.push(kaggle).exit_code == 0


def test_kaggle_may_not_be_away_for_ever(desk: Desk) -> None:
    with pytest.raises(UnreachableError):
        desk.push(FakeKaggle(push=[1], status=[AWAY]))
    assert "goes on at Kaggle; repeat the command" in desk.said[-1]


def test_a_kernel_that_is_gone_is_a_failure(desk: Desk) -> None:
    kaggle = FakeKaggle(push=[1], status=[COMPLETE])
    kaggle.on("status me/fold-2/1", NotFoundError("deleted"))
    kaggle.on("log me/fold-2", NotFoundError("deleted"))
    assert desk.push(kaggle).ends[2] == End("me/fold-2", "ERROR", "deleted")


def test_the_real_client_waits_for_room(stub: Stub) -> None:
    folders_in(stub.folder / "build", 2)
    good = {"versionNumber": 1, "url": "https://www.kaggle.com/code/me/fold"}
    stub.on("SaveKernel", good, {"error": FULL}, {"error": FULL}, good)
    running, complete = {"status": "RUNNING"}, {"status": "COMPLETE"}
    stub.on("GetKernelSessionStatus", running, running, complete)
    done = stub.run(
        """
        from melanoma.kaggle.queueing import Queue
        folders = {"me/fold-0": Path("build/0"), "me/fold-1": Path("build/1")}
        queue = Queue(connect(policy), folders, Path("build/queue.json"), policy=policy)
        return queue.run().exit_code
        """
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert [request.json["slug"] for request in stub.got("SaveKernel")] == [
        *("me/fold-0", "me/fold-1", "me/fold-1", "me/fold-1"),
    ]
    assert "me/fold-1: complete" in done.stdout
