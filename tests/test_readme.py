"""The commands of the README and of docs/, run as they are written, on the tiny competition."""

import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pandas as pd

ROOT = Path(__file__).resolve().parents[1]

# What makes a recipe for a GPU run here in seconds; what is done stays the same.
TINY = [
    *("--model.backbone", "test_resnet", "--model.weights", "none", "--data.image_size", "16"),
    *("--data.batch_size", "4", "--data.num_workers", "0", "--trainer.max_epochs", "1"),
    *("--trainer.precision", "32-true", "--trainer.accelerator", "cpu"),
]


def commands() -> list[list[str]]:
    pages = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
    text = "\n".join(page.read_text(encoding="utf-8") for page in pages)
    blocks = re.findall(r"```bash\n(.*?)```", text, flags=re.DOTALL)
    lines = "".join(blocks).replace("\\\n", " ").splitlines()
    return [shlex.split(line)[1:] for line in lines if line.startswith("python scripts/")]


def test_every_documented_command_works(competition: Path, tmp_path: Path) -> None:
    data_dir = tmp_path / "input" / "siim-isic-melanoma-classification"
    shutil.move(competition, data_dir)
    train = pd.read_csv(data_dir / "train.csv")
    train["patient_id"] = train["image_name"]  # five folds need five patients with a melanoma
    train.to_csv(data_dir / "train.csv", index=False)
    (tmp_path / "configs").symlink_to(ROOT / "configs")
    (tmp_path / "scripts").symlink_to(ROOT / "scripts")
    listed = commands()
    assert {command[0].split("/")[1] for command in listed} >= {
        "create_folds.py",
        "train_folds.py",
        "predict_folds.py",
        "build_submission.py",
    }
    for command in listed:
        more = TINY if "train_folds" in command[0] else []
        done = subprocess.run(
            [sys.executable, *command, *more], cwd=tmp_path, capture_output=True, text=True
        )
        assert done.returncode == 0, done.stderr
        if "build_submission" in command[0]:
            assert (tmp_path / done.stdout.splitlines()[-1]).is_file()
    assert len(pd.read_csv(tmp_path / "runs/baseline/submission.csv")) == 10
    assert (tmp_path / "runs/b3/fold_2/done.json").is_file()


def test_the_documented_files_are_there() -> None:
    for path in ("LICENSE", "CHANGELOG.md", "docs/design.md", "input/README.md", "folds/README.md"):
        assert (ROOT / path).is_file(), path
