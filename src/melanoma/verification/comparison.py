"""Two runs side by side: what they were made of, and whether they came to the same."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from melanoma.errors import RunError
from melanoma.files import read_object, sha256_of
from melanoma.run_folder import FoldFolder, RunFolder, differing_settings
from melanoma.tables import IMAGE_NAME, PREDICTION, PREDICTION_COLUMNS, read_predictions

_SAME, _DIFFERS, _ONE_ONLY = "same", "differs", "in one only"


@dataclass(frozen=True)
class Comparison:
    """What comparing two runs came to.

    Attributes:
        paths: Of the two.
        differences: In settings, seed, tables, photographs, versions, hardware and code.
        files: A row per fold and file: fold, file, bytes, largest difference.
        aucs: A row per fold that both have finished: fold, and the AUC of each.
    """

    paths: tuple[Path, Path]
    differences: list[str]
    files: pd.DataFrame
    aucs: pd.DataFrame

    @property
    def is_same(self) -> bool:
        """Whether every result is the same to the byte; other settings may lead to that, too."""
        return bool(len(self.files)) and bool(self.files["bytes"].eq(_SAME).all())

    def as_text(self) -> str:
        """For the terminal."""
        first, second = self.paths
        lines = [f"{first} and {second}"]
        lines += self.differences or ["made of the same, as far as config.yaml and run.json say"]
        lines += [table.to_string(index=False) for table in (self.files, self.aucs) if len(table)]
        verdict = "every result is the same to the byte" if self.is_same else "results differ"
        return "\n".join([*lines, verdict if len(self.files) else "no fold is finished in both"])


def compare_runs(run_dir: Path, other_dir: Path) -> Comparison:
    """Compare two runs; nothing is changed in them.

    Raises:
        RunError: If one is no run folder, or what a finished fold has left cannot be read.
        TableError: If predictions cannot be read.
    """
    run, other = RunFolder(run_dir), RunFolder(other_dir)
    differences = differing_settings(other.read_config(), run.read_config())
    differences += _differing_records(read_object(other.record_json), read_object(run.record_json))
    numbers = sorted({*run.finished_folds(), *other.finished_folds()})
    rows = [row for n in numbers for row in _compare_fold(run.fold(n), other.fold(n))]
    both = sorted({*run.finished_folds()} & {*other.finished_folds()})
    aucs = [(n, _auc(run.fold(n)), _auc(other.fold(n))) for n in both]
    return Comparison(
        (run_dir, other_dir),
        differences,
        pd.DataFrame(rows, columns=["fold", "file", "bytes", "largest difference"]),
        pd.DataFrame(aucs, columns=["fold", f"AUC of {run_dir}", f"AUC of {other_dir}"]),
    )


def _differing_records(old: dict[str, Any], new: dict[str, Any]) -> list[str]:
    before, now = dict(_flat(old)), dict(_flat(new))
    return [
        f"{key} was {before.get(key)}, is {now.get(key)}"
        for key in sorted(before.keys() | now.keys())
        # The settings are named one by one.
        if key not in ("config_sha256", "seed") and before.get(key) != now.get(key)
    ]


def _flat(content: Any, prefix: str = "") -> Iterator[tuple[str, Any]]:
    """Every value by its place; of the environments the last, in which the run was finished."""
    if not isinstance(content, dict):
        yield prefix, content
        return
    for key, value in content.items():
        if key == "environments" and isinstance(value, list):
            yield from _flat(value[-1] if value else {}, "")
        else:
            yield from _flat(value, f"{prefix}.{key}" if prefix else str(key))


def _compare_fold(one: FoldFolder, two: FoldFolder) -> Iterator[tuple[int, str, str, str]]:
    pairs = [(one.oof_csv, two.oof_csv), (one.test_csv, two.test_csv)]
    others = [(one.metrics_csv, two.metrics_csv), (one.epochs_npz, two.epochs_npz)]
    for first, second in [*pairs, *others]:
        there = [path.is_file() for path in (first, second)]
        if not any(there):
            continue
        if not all(there):
            yield one.number, first.name, _ONE_ONLY, ""
        elif sha256_of(first) == sha256_of(second):
            yield one.number, first.name, _SAME, ""
        else:
            predictions = (first, second) in pairs
            largest = _largest_difference(first, second) if predictions else ""
            yield one.number, first.name, _DIFFERS, largest


def _largest_difference(first: Path, second: Path) -> str:
    one, two = (
        read_predictions(path, PREDICTION_COLUMNS).set_index(IMAGE_NAME)[PREDICTION]
        for path in (first, second)
    )
    if set(one.index) != set(two.index):
        return "other images"
    return f"{np.abs(one - two[one.index]).max():.2g}"


def _auc(folder: FoldFolder) -> float:
    auc = folder.read_done().get("auc")
    if not isinstance(auc, float | int):
        raise RunError(f"{folder.done_json}: holds no AUC. Train that fold again with --overwrite.")
    return float(auc)
