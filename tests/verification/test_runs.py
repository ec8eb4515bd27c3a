import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from melanoma.errors import RunError
from melanoma.verification.runs import verify_run
from whole_run import blend, whole_run

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def run_dir(competition: Path, folds_csv: Path) -> Path:
    return whole_run(competition, folds_csv)


def findings(run_dir: Path) -> list[str]:
    return [str(finding) for finding in verify_run(run_dir).findings]


def test_a_whole_run_is_fine(run_dir: Path) -> None:
    blend(run_dir)
    verified = verify_run(run_dir)
    assert findings(run_dir) == []
    assert verified.is_fine
    assert [(s.fold, s.state, s.auc, s.n_files) for s in verified.folds] == [
        (0, "finished", 1.0, 5),
        (1, "finished", 1.0, 5),
    ]
    assert verified.as_text().endswith(f"{run_dir}: whole")


def test_folds_that_are_not_there_are_missing_and_begun_ones_unfinished(run_dir: Path) -> None:
    (run_dir / "fold_1" / "done.json").unlink()
    for path in (run_dir / "fold_0").iterdir():
        path.unlink()
    (run_dir / "fold_0").rmdir()
    assert [state.state for state in verify_run(run_dir).folds] == ["missing", "unfinished"]
    (missing, unfinished) = findings(run_dir)
    assert "fold_0: not trained. Train it with scripts/train_folds.py --fold 0" in missing
    assert "fold_1: begun, but not finished. Train it with" in unfinished


def test_leftovers_are_a_note_and_nothing_wrong(run_dir: Path) -> None:
    for name in (".config.12.yaml", "fold_0/.last.12.ckpt"):
        (run_dir / name).touch()
    verified = verify_run(run_dir)
    assert verified.is_fine
    assert [path.name for path in verified.leftovers] == [".config.12.yaml", ".last.12.ckpt"]
    assert "note: " in verified.as_text()


@pytest.mark.parametrize("name", ["train.csv", "folds.csv"])
def test_a_table_that_changed_is_named(
    run_dir: Path, competition: Path, folds_csv: Path, name: str
) -> None:
    path = competition / name if name == "train.csv" else folds_csv
    path.write_text(path.read_text() + "\n")
    (found,) = findings(run_dir)
    assert found.startswith(f"{path}: ")
    assert "is another than the one" in found
    path.unlink()  # nor is it needed
    assert findings(run_dir) == []


def test_tables_that_are_not_recorded_are_named(run_dir: Path) -> None:
    (run_dir / "tables.json").write_text("{")
    assert "tables.json: missing or not readable as JSON. Train again" in findings(run_dir)[0]


def test_what_is_no_run_folder_is_refused(tmp_path: Path) -> None:
    with pytest.raises(RunError, match=r"no run folder, it has no config.yaml"):
        verify_run(tmp_path)


def _none(_run_dir: Path) -> None:
    pass


def _damage(run_dir: Path) -> None:
    (run_dir / "fold_0" / "best.ckpt").write_text("worst")


def _no_run(run_dir: Path) -> None:
    (run_dir / "config.yaml").unlink()


@pytest.mark.parametrize(
    ("change", "code", "text"),
    [
        (_none, 0, "whole"),
        (_damage, 1, "best.ckpt: damaged or replaced"),
        (_no_run, 2, "error: "),
    ],
)
def test_exit_codes(run_dir: Path, change: Callable[[Path], None], code: int, text: str) -> None:
    change(run_dir)
    command = [sys.executable, "scripts/verify_run.py", "--run-dir", str(run_dir)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == code, done.stderr
    assert text in done.stdout + done.stderr
