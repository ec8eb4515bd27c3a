import json
import shutil
from pathlib import Path

import pytest

from melanoma.files import sha256_of
from melanoma.run_folder import RunFolder
from melanoma.verification.blends import verify_blend
from whole_run import blend, whole_run


@pytest.fixture
def run(competition: Path, folds_csv: Path) -> RunFolder:
    run_dir = whole_run(competition, folds_csv)
    blend(run_dir)
    return RunFolder(run_dir)


def problems(run: RunFolder, competition: Path) -> list[str]:
    return [str(finding) for finding in verify_blend(run, competition)]


def test_a_run_that_was_not_blended_has_no_blend_to_check(tmp_path: Path) -> None:
    assert verify_blend(RunFolder(tmp_path), tmp_path) == []


@pytest.mark.parametrize("name", ["oof.csv", "submission.csv"])
def test_every_output_is_compared_with_its_checksum(
    run: RunFolder, competition: Path, name: str
) -> None:
    path = run.path / name
    path.write_text(path.read_text() + "\n")
    (found,) = problems(run, competition)
    assert found.startswith(f"{path}: damaged or replaced: not the SHA-256 in submission.json")
    path.unlink()
    (found,) = problems(run, competition)
    assert found.startswith(f"{path}: missing, though submission.json names it. Run scripts/build")


def test_a_copied_run_is_checked_by_its_own_files(
    run: RunFolder, competition: Path, tmp_path: Path
) -> None:
    copy = RunFolder(tmp_path / "copy")
    shutil.copytree(run.path, copy.path)
    original = run.fold(0).test_csv
    original.write_text(original.read_text().replace("0.5", "0.6"))
    assert problems(copy, competition) == []
    path = copy.fold(1).test_csv
    path.write_text(path.read_text().replace("0.5", "0.6"))
    (found,) = problems(copy, competition)
    assert f"{path} changed after it was blended" in found


def test_a_fold_that_changed_after_it_was_blended_is_named(
    run: RunFolder, competition: Path
) -> None:
    path = run.fold(1).test_csv
    path.write_text(path.read_text().replace("0.5", "0.6"))
    assert f"{path} changed after it was blended" in problems(run, competition)[0]


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("TEST_000,0.5\nTEST_001,0.5", "TEST_001,0.5\nTEST_000,0.5", "not the ids of sample_sub"),
        ("TEST_000,0.5\n", "", "not the ids of sample_submission.csv in its order"),
        ("0.5", "nan", "is not a number between 0 and 1"),
        ("TEST_001", "TEST_000", "occurs more than once"),
    ],
)
def test_a_submission_that_would_be_refused_is_named(
    run: RunFolder, competition: Path, old: str, new: str, message: str
) -> None:
    run.submission_csv.write_text(run.submission_csv.read_text().replace(old, new))
    description = json.loads((run.path / "submission.json").read_text())
    description["outputs"]["submission.csv"] = sha256_of(run.submission_csv)
    (run.path / "submission.json").write_text(json.dumps(description))
    (found,) = problems(run, competition)
    assert message in found


def test_a_description_that_cannot_be_read_is_named(run: RunFolder, competition: Path) -> None:
    (run.path / "submission.json").write_text("[]")
    assert "not readable as the description of a blend" in problems(run, competition)[0]
