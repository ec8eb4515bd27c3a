"""A case of the bad-input catalogue: what is broken, the command, and what must be said of it."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

# Every path is relative to the folder that a case is run in.
DATA = Path("input/tiny")
TRAIN_CSV = DATA / "train.csv"
TEST_CSV = DATA / "test.csv"
FORM_CSV = DATA / "sample_submission.csv"
FOLDS_CSV = Path("folds/folds.csv")
RUN = Path("runs/tiny")
PHOTOGRAPH = DATA / "jpeg/train/TRAIN_003.jpg"
TEST_PHOTOGRAPH = DATA / "jpeg/test/TEST_003.jpg"

TINY = (
    *(f"--data.data_dir={DATA}", f"--data.folds_csv={FOLDS_CSV}", "--data.image_size=16"),
    *("--data.batch_size=4", "--data.num_workers=0", "--model.backbone=test_resnet"),
    *("--model.weights=none", "--trainer.max_epochs=2", "--trainer.accelerator=cpu"),
    *("--trainer.precision=32-true", "--trainer.enable_model_summary=false"),
)
CREATE = ("create_folds", f"--data-dir={DATA}", "--n-folds=2", "--output=new/folds.csv")
TRAIN = ("train_folds", *TINY, "--run-dir=runs/new")
TRAIN_AGAIN = ("train_folds", *TINY, f"--run-dir={RUN}")
SHOW = ("show_batch", *TINY, "--run-dir=runs/new", "--output=new/batch.png")
PREDICT = ("predict_folds", f"--run-dir={RUN}")
BUILD = ("build_submission", f"--run-dir={RUN}")
REPORT = ("report", f"--run-dir={RUN}")
PREPARE = (
    *("prepare_images", f"--data-dir={DATA}", "--output-dir=new/copies"),
    *("--size=16", "--num-workers=1"),
)

Breaks = Callable[[], object]


def nothing() -> None:
    """What is wrong is in the command."""


@dataclass(frozen=True)
class Case:
    """One thing wrong.

    Attributes:
        id: What is wrong, in words.
        command: A script and its arguments.
        pattern: What the message must match: culprit and remedy.
        breaks: Called in the folder of the case before the command.
    """

    id: str
    command: Sequence[str]
    pattern: str
    breaks: Breaks = nothing


def holds(path: Path | str, content: str | bytes = "") -> Breaks:
    """A file with this content; a folder that is in the way is not expected."""

    def breaks() -> None:
        place = Path(path)
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_bytes(content.encode() if isinstance(content, str) else content)

    return breaks


def is_gone(path: Path) -> Breaks:
    return lambda: path.unlink()


def is_a_folder(path: Path) -> Breaks:
    def breaks() -> None:
        path.unlink(missing_ok=True)
        path.mkdir()

    return breaks


def cut(path: Path, share: float = 0.5) -> Breaks:
    def breaks() -> None:
        content = path.read_bytes()
        path.write_bytes(content[: int(len(content) * share)])

    return breaks


def text(path: Path, change: Callable[[str], str], encoding: str = "utf-8") -> Breaks:
    return lambda: path.write_bytes(change(path.read_text(encoding="utf-8")).encode(encoding))


def table(path: Path, change: Callable[[pd.DataFrame], pd.DataFrame]) -> Breaks:
    """The table with every value as text, changed."""

    def breaks() -> None:
        changed = change(pd.read_csv(path, dtype=str, keep_default_na=False))
        changed.to_csv(path, index=False)

    return breaks


def value(path: Path, column: str, row: int, new: str) -> Breaks:
    def change(rows: pd.DataFrame) -> pd.DataFrame:
        rows.loc[row, column] = new
        return rows

    return table(path, change)


def without_column(path: Path, column: str) -> Breaks:
    return table(path, lambda rows: rows.drop(columns=column))


def both(*breaks: Breaks) -> Breaks:
    return lambda: [one() for one in breaks]
