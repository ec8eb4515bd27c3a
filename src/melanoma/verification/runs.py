"""Checking a run folder: is it complete, whole, and still that of its tables?"""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from melanoma.errors import MelanomaError, RunError, name_bytes, name_some
from melanoma.files import find_leftovers, read_object, sha256_of
from melanoma.folds.files import read_fold_column
from melanoma.remote.opening import folder_if_there
from melanoma.run_folder import RunFolder
from melanoma.run_tables import tables_made_from
from melanoma.tables import FOLD
from melanoma.verification.blends import verify_blend
from melanoma.verification.findings import Finding
from melanoma.verification.folds import FoldState, verify_fold


@dataclass(frozen=True)
class Verification:
    """What checking a run came to.

    Attributes:
        path: Of the run.
        folds: A state per fold of the run, trained or not.
        findings: What is wrong, with the folds too.
        leftovers: Half-written files of processes that were killed or are at work: harmless.
    """

    path: Path
    folds: list[FoldState]
    findings: list[Finding]
    leftovers: list[Path]

    @property
    def is_fine(self) -> bool:
        """Whether nothing is wrong."""
        return not self.findings

    @property
    def damages(self) -> list[Finding]:
        """What is wrong with what is there, though folds may be missing or unfinished."""
        lacking = [f for s in self.folds if s.state != "finished" for f in s.findings]
        return [finding for finding in self.findings if finding not in lacking]

    def as_text(self) -> str:
        """A table of the folds, a line per finding, and the verdict."""
        rows = [
            (s.fold, s.state, "" if s.auc is None else f"{s.auc:.4f}", s.n_files,
             name_bytes(s.n_bytes), "ok" if not s.findings else f"{len(s.findings)} wrong")
            for s in self.folds
        ]  # fmt: skip
        columns = ["fold", "state", "AUC", "files", "size", "check"]
        lines = [pd.DataFrame(rows, columns=columns).to_string(index=False)] if rows else []
        lines += [str(finding) for finding in self.findings]
        if self.leftovers:
            lines.append(
                f"note: {name_some(self.leftovers)}: half-written, of a process that is at work or "
                "was killed. Harmless; the next training removes those of its folds."
            )
        verdict = "whole" if self.is_fine else f"not in order: {len(self.findings)} finding(s)"
        lines.append(f"{self.path}: {verdict}")
        return "\n".join(lines)


def verify_run(run_dir: Path) -> Verification:
    """Check a run folder; nothing is changed in it.

    Raises:
        RunError: If it is no run folder, or its configuration cannot be read.
    """
    run = RunFolder(run_dir)
    data = run.read_config().get("data") or {}
    data_dir = folder_if_there(data)
    states = [verify_fold(run.fold(number)) for number in _fold_numbers(run, data)]
    findings = [
        *_verify_made_from(run, data, data_dir),
        *(finding for state in states for finding in state.findings),
        *_verify_one_test_set(run),
        *verify_blend(run, data_dir),
    ]
    leftovers = [*find_leftovers(run.path)]
    leftovers += [path for state in states for path in run.fold(state.fold).leftovers()]
    return Verification(run_dir, states, findings, leftovers)


def _fold_numbers(run: RunFolder, data: dict[str, Any]) -> list[int]:
    begun = run.begun_folds()
    try:
        folds = read_fold_column(Path(data["folds_csv"]), data.get("fold_column") or FOLD)
    except (KeyError, MelanomaError):  # the tables may be elsewhere by now
        return begun
    return sorted({*begun, *folds[folds >= 0].tolist()})


def _verify_one_test_set(run: RunFolder) -> list[Finding]:
    try:
        run.check_one_test_set(run.finished_folds())
    except RunError as error:
        return [Finding.of_error(run.path, error)]
    return []


def _verify_made_from(run: RunFolder, data: dict[str, Any], data_dir: Path) -> list[Finding]:
    remedy = f"Train again with scripts/train_folds.py --config {run.config_yaml}."
    tables = read_object(run.tables_json)
    if not tables:
        return [Finding(run.tables_json, "missing or not readable as JSON", remedy)]
    return [
        Finding(
            path,
            f"{name} is another than the one {run.path} was made from (their SHA-256 differ)",
            "Put the earlier one back, or train again into another --run_dir.",
        )
        for name, path in tables_made_from(data, data_dir).items()
        if name in tables and path.is_file() and sha256_of(path) != tables[name]
    ]
