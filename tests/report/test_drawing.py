import numpy as np
import pytest

from melanoma.report.curves import Curve
from melanoma.report.drawing import figure, label, line, log_odds, log_odds_axis, series


def test_text_from_tables_is_no_markup() -> None:
    assert label("<b>a</b> & b") == "&lt;b&gt;a&lt;/b&gt; &amp; b"


def test_colours_repeat() -> None:
    assert series(0) == series(8) == "var(--series-1)"


def test_a_figure_is_plain_and_its_properties_are_checked() -> None:
    curve = line(Curve(np.array([0.0, 1.0]), np.array([0.0, 1.0])), "a", series(0))
    drawn = figure([curve], {"title": {"text": "x"}}, {}, 200)
    assert drawn["data"][0]["x"] == [0.0, 1.0]
    assert drawn["layout"]["height"] == 200
    assert "template" not in drawn["layout"]
    with pytest.raises(ValueError, match="no_such_property"):
        figure([curve | {"no_such_property": 1}], {}, {})


def test_an_axis_of_log_odds_has_marks_however_narrow_it_is() -> None:
    wide = log_odds_axis("score", log_odds(0), log_odds(1))
    assert wide["ticktext"][0] == "0.01 %"
    narrow = log_odds_axis("score", log_odds(0.1), log_odds(0.12))
    assert narrow["ticktext"][0] == "10 %"
    assert narrow["ticktext"][-1] == "12 %"
    assert len(narrow["tickvals"]) == 5
