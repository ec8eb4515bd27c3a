"""What XLA counts, looked at around the steps of a training."""

from dataclasses import dataclass, fields
from types import ModuleType
from typing import Any

import lightning.pytorch as pl


@dataclass(frozen=True)
class Counts:
    """Since the process began.

    Attributes:
        compilations: Programs that were compiled.
        sent: Transfers to the device.
        fetched: Transfers from it, each of which waits for it.
        read: Values of tensors that were read.
    """

    compilations: int
    sent: int
    fetched: int
    read: int

    @classmethod
    def now(cls) -> "Counts":
        return cls(
            _samples("CompileTime"),
            _samples("TransferToDeviceTime"),
            _samples("TransferFromDeviceTime"),
            _metrics().counter_value("aten::_local_scalar_dense") or 0,
        )

    def __sub__(self, earlier: "Counts") -> "Counts":
        return Counts(*(getattr(self, f.name) - getattr(earlier, f.name) for f in fields(self)))


class Watch(pl.Callback):
    """Counts within each training step, each batch of validation, and each epoch."""

    def __init__(self) -> None:
        self.steps: list[list[Counts]] = []
        self.validations: list[list[Counts]] = []
        self.epochs: list[Counts] = []
        self._before = self._epoch = Counts.now()

    def on_train_batch_start(self, trainer: pl.Trainer, *_: Any) -> None:
        if len(self.steps) <= trainer.current_epoch:
            # What callbacks do at the start of an epoch belongs to the one before.
            now = Counts.now()
            self.epochs.append(now - self._epoch)
            self._epoch = now
            self.steps.append([])
            self.validations.append([])
        self._before = Counts.now()

    def on_train_batch_end(self, *_: Any) -> None:
        self.steps[-1].append(Counts.now() - self._before)

    def on_validation_batch_start(self, *_: Any) -> None:
        self._before = Counts.now()

    def on_validation_batch_end(self, *_: Any) -> None:
        if self.validations:
            self.validations[-1].append(Counts.now() - self._before)

    def on_train_end(self, *_: Any) -> None:
        self.epochs.append(Counts.now() - self._epoch)


def largest_program() -> int:
    """Operations of the largest program since the last call, which forgets all counts."""
    found = _metrics().metric_data("TensorsGraphSize") or (0, 0, [(0, 0)])
    _metrics().clear_metrics()
    return max(int(size) for _, size in found[2])


def _samples(name: str) -> int:
    return int((_metrics().metric_data(name) or (0,))[0])


def _metrics() -> ModuleType:
    import torch_xla.debug.metrics  # not where these tests are skipped

    metrics: ModuleType = torch_xla.debug.metrics
    return metrics
