from types import SimpleNamespace

import pytest

from melanoma.training.cluster.lines import Lines, print_lines, sayer


def test_lines_are_fetched_once_and_in_order() -> None:
    lines = Lines()
    lines.say(False, "a")
    lines.say(True, "b")
    assert lines.fetch() == [(False, "a"), (True, "b")]
    assert lines.fetch() == []


def test_a_task_that_begins_again_names_where_it_was() -> None:
    lines = Lines()
    lines.begin("fold 0", "one")
    lines.begin("fold 0", "two")
    lines.forget("fold 0")
    lines.begin("fold 0", "three")
    lines.fence()
    assert [line for _, line in lines.fetch()] == [
        "fold 0 begins on one",
        "fold 0: what trained it on one is gone; begins again on two, from the last checkpoint there "
        "is",
        "fold 0 begins on three",
    ]


def test_errors_are_printed_as_errors(capsys: pytest.CaptureFixture[str]) -> None:
    print_lines([(False, "good"), (True, "bad")])
    printed = capsys.readouterr()
    assert (printed.out, printed.err) == ("good\n", "bad\n")


@pytest.mark.parametrize(("prefix", "expected"), [("", "x"), ("[a]", "[a] x")])
def test_lines_say_of_which_run_they_are(prefix: str, expected: str) -> None:
    lines = Lines()
    sayer(SimpleNamespace(say=SimpleNamespace(remote=lines.say)), prefix)(False, "x")
    assert lines.fetch() == [(False, expected)]
