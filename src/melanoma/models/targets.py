"""What a network learns, and how its outputs become the log-odds of melanoma."""

from typing import Protocol

import torch
from torch import Tensor

from melanoma.diagnoses import CLASSES, MELANOMA
from melanoma.images.dataset import Batch
from melanoma.models.losses import Target


class TargetCoding(Protocol):
    """How classes, targets and outputs of a task belong together.

    Attributes:
        n_classes: Number of classes of an image.
        n_outputs: Number of outputs of the network.
    """

    n_classes: int
    n_outputs: int

    def classes(self, batch: Batch) -> Tensor:
        """The class (B,) int64 of each image, -1 where it is not known."""

    def targets(self, probabilities: Tensor) -> Tensor:
        """What the outputs (B, n_outputs) should say, from class probabilities (B, n_classes)."""

    def log_odds(self, logits: Tensor) -> Tensor:
        """The log-odds (B,) of melanoma against all the rest, from outputs (B, n_outputs)."""


class BinaryTarget:
    """Melanoma or not, by one output."""

    n_classes = 2
    n_outputs = 1

    def classes(self, batch: Batch) -> Tensor:
        """As in the protocol."""
        return torch.nan_to_num(batch["target"], nan=-1.0).long()

    def targets(self, probabilities: Tensor) -> Tensor:
        """As in the protocol."""
        return probabilities[:, 1:]

    def log_odds(self, logits: Tensor) -> Tensor:
        """As in the protocol."""
        return logits[:, 0]


class DiagnosisTarget:
    """One of nine diagnoses, by a softmax; the submission is the probability of melanoma."""

    n_classes = len(CLASSES)
    n_outputs = len(CLASSES)
    _melanoma = CLASSES.index(MELANOMA)

    def classes(self, batch: Batch) -> Tensor:
        """As in the protocol."""
        return batch["diagnosis"]

    def targets(self, probabilities: Tensor) -> Tensor:
        """As in the protocol."""
        return probabilities

    def log_odds(self, logits: Tensor) -> Tensor:
        """As in the protocol."""
        others = [place for place in range(self.n_outputs) if place != self._melanoma]
        return logits[:, self._melanoma] - torch.logsumexp(logits[:, others], dim=1)


def create_target(name: Target) -> TargetCoding:
    """The coding of `model.target`."""
    return DiagnosisTarget() if name == "diagnosis" else BinaryTarget()


def class_probabilities(classes: Tensor, n_classes: int) -> Tensor:
    """Certain classes (B,) as probabilities (B, n_classes)."""
    # Not torch's one_hot, which waits for the smallest and largest class to check them.
    return (classes[:, None] == torch.arange(n_classes, device=classes.device)).float()


def smooth(probabilities: Tensor, label_smoothing: float) -> Tensor:
    """Move a share of the certainty to all classes alike (Szegedy et al., CVPR 2016).

    >>> round(smooth(torch.tensor([[0.0, 1.0]]), 0.2)[0, 1].item(), 6)
    0.9
    """
    return probabilities * (1 - label_smoothing) + label_smoothing / probabilities.shape[1]
