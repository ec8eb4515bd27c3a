"""What is wrong in a run folder: where, what, and what to do about it."""

from dataclasses import dataclass
from pathlib import Path
from typing import Self

from melanoma.errors import MelanomaError

RETRAIN = "Train that fold again with scripts/train_folds.py --overwrite."


@dataclass(frozen=True)
class Finding:
    """One thing that is wrong.

    Attributes:
        path: Of the file or folder.
        problem: What is wrong with it.
        remedy: What to do, as a sentence; empty where `problem` says it.
    """

    path: Path
    problem: str
    remedy: str = ""

    @classmethod
    def of_error(cls, path: Path, error: MelanomaError) -> Self:
        """What a reader of the file has found."""
        return cls(path, str(error).removeprefix(f"{path}: "))

    def __str__(self) -> str:
        """One line."""
        return f"{self.path}: {self.problem}" + (f". {self.remedy}" if self.remedy else "")
