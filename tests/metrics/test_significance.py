import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from melanoma.metrics import holm
from melanoma.metrics.significance import satterthwaite

shares = st.lists(st.tuples(st.floats(0.01, 10), st.integers(1, 100)), min_size=1, max_size=5)


@given(st.lists(st.floats(0, 1), min_size=1, max_size=20), st.floats(0.001, 0.5))
def test_corrected_p_values_reject_what_holms_steps_reject(
    p_values: list[float], level: float
) -> None:
    rejected = set[int]()
    for step, place in enumerate(sorted(range(len(p_values)), key=p_values.__getitem__)):
        if p_values[place] * (len(p_values) - step) > level:
            break
        rejected.add(place)
    assert set(np.flatnonzero(holm(p_values) <= level)) == rejected


def test_the_correction_is_as_large_as_the_number_of_tests() -> None:
    assert holm([0.01]).tolist() == [0.01]
    assert holm([0.03, 0.01, 0.9]).tolist() == pytest.approx([0.06, 0.03, 0.9])
    assert holm([]).tolist() == []


@given(shares)
def test_a_sum_has_degrees_of_freedom_between_the_least_and_all(
    shares: list[tuple[float, int]],
) -> None:
    freedom = satterthwaite(shares)
    own = [freedom for _, freedom in shares]
    assert min(own) - 1e-9 <= freedom <= sum(own) + 1e-9
