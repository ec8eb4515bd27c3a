import pytest
import torch

from melanoma.diagnoses import CLASSES
from melanoma.images.dataset import Batch
from melanoma.models.targets import class_probabilities, create_target, smooth

BATCH: Batch = {
    "target": torch.tensor([1.0, 0.0, float("nan")]),
    "diagnosis": torch.tensor([0, 1, -1]),
}


def test_binary_targets_are_one_output() -> None:
    target = create_target("binary")
    assert target.classes(BATCH).tolist() == [1, 0, -1]
    wanted = class_probabilities(torch.tensor([1, 0]), 2)
    assert target.targets(wanted).tolist() == [[1.0], [0.0]]
    assert target.log_odds(torch.tensor([[0.3]])).item() == pytest.approx(0.3)


def test_the_log_odds_of_a_diagnosis_are_those_of_its_softmax() -> None:
    target = create_target("diagnosis")
    logits = torch.randn(5, len(CLASSES), generator=torch.Generator().manual_seed(0))
    expected = logits.softmax(dim=1)[:, CLASSES.index("melanoma")]
    assert torch.allclose(torch.sigmoid(target.log_odds(logits)), expected, atol=1e-6)
    assert target.classes(BATCH).tolist() == [0, 1, -1]


def test_smoothing_keeps_probabilities() -> None:
    smoothed = smooth(class_probabilities(torch.tensor([2]), 4), 0.1)
    assert smoothed.sum().item() == pytest.approx(1.0)
    assert smoothed[0].tolist() == pytest.approx([0.025, 0.025, 0.925, 0.025])
