import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from melanoma.kaggle.logs import LogPrinter, pieces_of

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
