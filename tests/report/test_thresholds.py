import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from melanoma.metrics import sensitivity_at_specificity
from melanoma.report.threshold import threshold_section
from melanoma.report.thresholds import MOST_STOPS, confusions

SCORES = st.lists(st.floats(0, 1, width=16), min_size=1, max_size=50)


@given(SCORES, SCORES)
def test_counts_are_those_of_the_images_and_it_starts_where_the_ensembler_measures(
    positives: list[float], negatives: list[float]
) -> None:
    targets = np.array([1] * len(positives) + [0] * len(negatives))
    scores = np.array([*positives, *negatives])
    stops = confusions(targets, scores)
    for place, threshold in enumerate(stops.thresholds):
        called = scores >= threshold
        assert stops.true_positives[place] == (called & (targets == 1)).sum()
        assert stops.false_positives[place] == (called & (targets == 0)).sum()
    wanted = sensitivity_at_specificity(targets, scores)
    assert stops.sensitivities[stops.start] == pytest.approx(wanted)
    assert stops.specificities[stops.start] >= 0.9 - 1e-9


def test_many_images_have_few_stops() -> None:
    random = np.random.default_rng(0)
    targets = random.integers(0, 2, 5000)
    stops = confusions(targets, random.random(5000))
    assert len(stops.thresholds) <= MOST_STOPS + 2
    assert stops.true_positives[-1] == stops.false_positives[-1] == 0


def test_the_chart_starts_at_the_threshold() -> None:
    stops = confusions(np.array([0, 0, 1, 1]), np.array([0.1, 0.4, 0.35, 0.8]))
    (chart,) = threshold_section(stops).charts
    assert stops.threshold == 0.8
    assert "0.8000" in chart.description
    assert len(chart.figure["layout"]["shapes"]) == 1
