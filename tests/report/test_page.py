import numpy as np

from melanoma.report.page import Page, render
from melanoma.report.parts import Finding, Missing, Section, Table
from melanoma.report.photographs import Album
from melanoma.report.thresholds import confusions
from melanoma.report.words import count, duration

BAD = '"><script>alert(1)</script>'


def test_whatever_is_in_it_is_escaped() -> None:
    stops = confusions(np.array([0, 1]), np.array([0.1, 0.9]))
    table = Table(BAD, [BAD, "b"], [[BAD, BAD]])
    sections = [Section(name, BAD, BAD, [BAD], tables=[table]) for name in ("groups", "folds")]
    album = Album([], [BAD])
    figures = {"name": BAD}
    page = Page(BAD, "1", [], [Finding(BAD, "folds", True)], sections, album, stops, figures)
    html = render(page)
    assert "<script>alert" not in html
    assert html.count("&lt;script&gt;alert(1)") > 10


def test_a_note_is_made_once() -> None:
    missing = Missing()
    missing.add("folds", "a")
    missing.add("folds", "a")
    assert missing.of("folds") == ["a"]
    assert missing.of("scores") == []


def test_numbers_are_written_as_one_reads_them() -> None:
    assert duration(59.6) == "1 min 00 s"
    assert count(2, "fold") == "2 folds"
