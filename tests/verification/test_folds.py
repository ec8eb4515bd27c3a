from pathlib import Path

import pytest

from melanoma.files import sha256_of, write_json
from melanoma.run_folder import FoldFolder, RunFolder
from melanoma.verification.folds import verify_fold
from whole_run import whole_run


@pytest.fixture
def folder(competition: Path, folds_csv: Path) -> FoldFolder:
    return RunFolder(whole_run(competition, folds_csv)).fold(0)


def problems(folder: FoldFolder) -> list[str]:
    return [str(finding) for finding in verify_fold(folder).findings]


@pytest.mark.parametrize("name", ["best.ckpt", "last.ckpt", "metrics.csv", "oof.csv", "test.csv"])
def test_every_file_is_compared_with_its_checksum(folder: FoldFolder, name: str) -> None:
    path = folder.path / name
    path.write_bytes(path.read_bytes() + b"\n")
    (found,) = problems(folder)
    assert found.startswith(f"{path}: damaged or replaced: not the SHA-256 in done.json. ")
    path.unlink()
    (found,) = problems(folder)
    assert found.startswith(f"{path}: missing, though done.json names it. ")
    assert ("predict_folds.py" if name == "test.csv" else "train_folds.py") in found


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("{", "cannot be read"),
        ("[]", "cannot be read (it holds no JSON object)"),
        ('{"files": {"../best.ckpt": "0"}}', "names no files with their checksums"),
    ],
)
def test_a_done_file_that_says_nothing_is_named(
    folder: FoldFolder, content: str, message: str
) -> None:
    folder.done_json.write_text(content)
    (found,) = problems(folder)
    assert found.startswith(f"{folder.done_json}: {message}")


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("prediction", "p", "no column prediction"),
        (",0.25", ",1.25", "is not a number between 0 and 1"),
        (",0.25", ",nan", "is not a number between 0 and 1"),
        (",0.25", ",inf", "is not a number between 0 and 1"),
    ],
)
def test_what_the_tables_hold_is_checked(
    folder: FoldFolder, old: str, new: str, message: str
) -> None:
    folder.oof_csv.write_text(folder.oof_csv.read_text().replace(old, new))
    _sign(folder)
    (found,) = problems(folder)
    assert message in found


def test_an_image_twice_is_named(folder: FoldFolder) -> None:
    lines = folder.test_csv.read_text().splitlines()
    folder.test_csv.write_text("\n".join([*lines, lines[-1]]) + "\n")
    _sign(folder)
    assert "TEST_009 occurs more than once" in problems(folder)[0]


def test_a_finished_fold_has_out_of_fold_predictions(folder: FoldFolder) -> None:
    folder.oof_csv.unlink()
    _sign(folder)
    assert problems(folder) == [
        f"{folder.done_json}: does not name oof.csv. Train that fold again with "
        "scripts/train_folds.py --overwrite."
    ]


def test_a_fold_without_a_test_set_is_whole(folder: FoldFolder) -> None:
    folder.test_csv.unlink()
    _sign(folder)
    assert problems(folder) == []


def _sign(folder: FoldFolder) -> None:
    paths = [path for path in folder.path.iterdir() if path != folder.done_json]
    files = {path.name: sha256_of(path) for path in paths}
    write_json(folder.done_json, {**folder.read_done(), "files": files})
