import numpy as np
import pandas as pd
from hypothesis import given
from hypothesis import strategies as st

from melanoma.report.selection import EACH, choose_photographs, description_of, facts_of


@given(st.lists(st.tuples(st.integers(0, 1), st.floats(0, 1, width=16)), min_size=1, max_size=60))
def test_mistakes_are_the_worst_and_hits_are_hits(rows: list[tuple[int, float]]) -> None:
    targets, scores = np.array([t for t, _ in rows]), np.array([s for _, s in rows])
    misses, alarms, hits = choose_photographs(targets, scores, threshold=0.5)
    for kind, target, sign in ((misses, 1, 1), (alarms, 0, -1)):
        shown, of_class = list(kind.rows), np.flatnonzero(targets == target)
        assert len(shown) == min(EACH, len(of_class))
        others = np.setdiff1d(of_class, shown)
        assert all(targets[row] == target for row in shown)
        if len(others) and shown:
            assert (sign * scores[shown]).max() <= (sign * scores[others]).min()
    assert all((scores[row] >= 0.5) == targets[row] for row in hits.rows)
    assert not set(misses.rows) & set(hits.rows)
    assert len(hits.rows) <= EACH
    again = choose_photographs(targets, scores, threshold=0.5)
    assert [list(kind.rows) for kind in again] == [list(k.rows) for k in (misses, alarms, hits)]


def test_what_is_known_of_an_image_is_shown() -> None:
    row = pd.Series(
        {"image_name": "A", "target": 1, "fold": 2, "age_approx": 45.0, "sex": None, "other": "x"}
    )
    assert facts_of(row, 0.25, 0.5) == [
        ("score", "0.2500"),
        ("rank", "above 50.0 %"),
        ("label", "melanoma"),
        ("fold", "2"),
        ("age", "45"),
    ]
    assert description_of(row, 0.25) == "Photograph A: a melanoma, score 0.2500"
