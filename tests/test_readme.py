"""The commands of the README, run as they are written, on the tiny competition.

Those of docs/ are executed by `make test-docs` (tests/docs/test_commands.py).
"""

import shutil
import subprocess
import sys
from pathlib import Path

import pandas as pd

from documented import README, ROOT, executed, made_tiny


def test_every_documented_command_works(competition: Path, tmp_path: Path) -> None:
    data_dir = tmp_path / "input" / "siim-isic-melanoma-classification"
    shutil.move(competition, data_dir)
    train = pd.read_csv(data_dir / "train.csv")
    train["patient_id"] = train["image_name"]  # five folds need five patients with a melanoma
    train.to_csv(data_dir / "train.csv", index=False)
    (tmp_path / "configs").symlink_to(ROOT / "configs")
    (tmp_path / "scripts").symlink_to(ROOT / "scripts")
    listed = executed(README)
    assert {command[0].split("/")[1] for command in listed} >= {
        "create_folds.py",
        "train_folds.py",
        "build_submission.py",
        "push_kernel.py",
    }
    for command in listed:
        done = subprocess.run(
            [sys.executable, *made_tiny(command)], cwd=tmp_path, capture_output=True, text=True
        )
        assert done.returncode == 0, done.stderr
        if "build_submission" in command[0]:
            assert (tmp_path / done.stdout.splitlines()[-1]).is_file()
    assert len(pd.read_csv(tmp_path / "runs/baseline/submission.csv")) == 10
    assert (tmp_path / "runs/b3/fold_2/done.json").is_file()


def test_the_documented_files_are_there() -> None:
    for path in ("LICENSE", "CHANGELOG.md", "docs/design.md", "input/README.md", "folds/README.md"):
        assert (ROOT / path).is_file(), path
