"""Learning-rate schedules by name. A rate here is a factor of the optimiser's own."""

import math
import sys
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal, get_args

from torch.optim import Optimizer
from torch.optim.lr_scheduler import LambdaLR, OneCycleLR, ReduceLROnPlateau

from melanoma.errors import ConfigError, suggest

ScheduleName = Literal["cosine", "onecycle", "step", "plateau", "constant"]


@dataclass(frozen=True)
class Schedule:
    """A schedule of the learning rate.

    Attributes:
        name: `cosine`: warm-up, then half a cosine to zero; `onecycle`: torch's OneCycleLR, warm-up
            included; `step`: warm-up, then a tenth after each `step_epochs`; `plateau`: a tenth
            after two epochs without a better AUC; `constant`: warm-up, then the rate itself.
        warmup_epochs: Epochs, also in parts, over which the rate rises linearly.
        warmup_start: The factor it rises from, in [0, 1).
        step_epochs: Epochs between two falls of `step`.
    """

    name: ScheduleName
    warmup_epochs: float = 1.0
    warmup_start: float = 0.0
    step_epochs: int = 5

    def __post_init__(self) -> None:
        """Check the settings.

        Raises:
            ConfigError: If the name is not known or a setting is out of its range.
        """
        known = get_args(ScheduleName)
        if self.name not in known:
            raise ConfigError(
                f"--model.schedule {self.name}: not known. Choose {', '.join(known)}."
                f"{suggest(self.name, known)}"
            )
        if self.warmup_epochs < 0:
            raise ConfigError(f"--model.warmup_epochs {self.warmup_epochs}: must not be negative.")
        if not 0 <= self.warmup_start < 1:
            raise ConfigError(f"--model.warmup_start {self.warmup_start}: must be in [0, 1).")
        if self.step_epochs < 1:
            raise ConfigError(f"--model.step_epochs {self.step_epochs}: must be at least 1.")

    def of(self, optimizer: Optimizer, total_steps: int, epochs: float) -> dict[str, Any]:
        """The schedule as Lightning takes it.

        Args:
            optimizer: Its groups keep their own rates as the highest.
            total_steps: Optimiser steps of the whole training.
            epochs: Of the whole training; the last may be a part of one.
        """
        if self.name == "plateau":
            plateau = ReduceLROnPlateau(optimizer, mode="max", factor=0.1, patience=2)
            # Stepped by the module, before the checkpoint of the epoch is written: Lightning would
            # do it afterwards, and in epochs without a validation, too.
            never = {"interval": "epoch", "frequency": sys.maxsize}
            return {"scheduler": plateau, "monitor": "val_auc", **never}
        if self.name == "onecycle":
            highest = [group["lr"] for group in optimizer.param_groups]
            # Of a rise within one step torch would divide by zero.
            share = min(0.9, max(2 / total_steps, self.warmup_epochs / epochs))
            cycle = OneCycleLR(optimizer, highest, total_steps=total_steps, pct_start=share)
            return {"scheduler": cycle, "interval": "step"}
        return {
            "scheduler": LambdaLR(optimizer, self._factor(total_steps, epochs)),
            "interval": "step",
        }

    def _factor(self, total_steps: int, epochs: float) -> Callable[[int], float]:
        warmup_steps = round(total_steps * min(1.0, self.warmup_epochs / epochs))

        def factor(step: int) -> float:
            if step < warmup_steps:
                return self.warmup_start + (1 - self.warmup_start) * (step + 1) / warmup_steps
            if self.name == "cosine":
                return cosine((step - warmup_steps) / max(1, total_steps - warmup_steps))
            if self.name == "step":
                # Whole epochs, of which each ends at a whole step.
                return 0.1 ** (int(step * epochs / total_steps + 1e-9) // self.step_epochs)
            return 1.0

        return factor


def cosine(progress: float) -> float:
    """Half a cosine from 1 at progress 0 to 0 at progress 1 (Loshchilov & Hutter, ICLR 2017).

    >>> [round(cosine(progress), 2) for progress in (0, 0.25, 0.5, 1)]
    [1.0, 0.85, 0.5, 0.0]
    """
    return 0.5 * (1 + math.cos(math.pi * min(1.0, progress)))
