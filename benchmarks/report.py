"""Time and memory of report.py on runs of the size of SIIM-ISIC 2020, beside the limits.

Simulated runs are written to a temporary folder as training leaves them, with metadata, the
images.csv of prepared copies, and one small photograph under 33,126 names. The report is made in a
process of its own: what is measured is the whole command, its start-up included. Grad-CAM looks at
18 photographs whatever the number of rows, so that its cost is the network's: --backbone adds it.
"""

import os
import sys
import tempfile
from pathlib import Path

import numpy as np
import pandas as pd
from common import ROOT, Used, call, run_timed
from PIL import Image

from ensemble import N_TRAIN, write_runs
from melanoma.command_line import script
from melanoma.files import sha256_of, write_json
from melanoma.images.index import copy_path, images_csv
from melanoma.run_folder import RunFolder

SCRIPT = ROOT / "scripts" / "report.py"
MOST_SECONDS, MOST_MB, MOST_FILE_MB = 30, 2000, 15
N_EPOCHS = 15


def measure_reports(
    n_runs: list[int] | None = None,
    n_threads: int = 2,
    backbone: str | None = None,
    image_size: int = 256,
) -> None:
    """Print seconds, peak memory and size of the file, each as a share of its limit too.

    Args:
        n_runs: Of how many runs the reports are; by default 1 and 4.
        n_threads: Of numpy's linear algebra, and of the networks.
        backbone: Of untrained networks that Grad-CAM looks into; by default it is left out.
        image_size: Of these, in pixels.
    """
    numbers = n_runs or [1, 4]
    with tempfile.TemporaryDirectory() as folder:
        run_dirs = write_runs(Path(folder), max(numbers))
        complete(Path(folder), run_dirs)
        if backbone:
            add_networks(run_dirs, backbone, image_size)
        print(
            f"{'runs':>5} {'seconds':>8} {'of limit':>9} {'peak_mb':>8} {'of limit':>9} {'file_mb':>8}"
        )
        for number in numbers:
            output = Path(folder) / f"report_{number}.html"
            used = measure(run_dirs[:number], output, n_threads, bool(backbone))
            file_mb = output.stat().st_size / 1e6
            time_used, memory_used = used.seconds / MOST_SECONDS, used.peak_mb / MOST_MB
            shares = f"{used.seconds:8.1f} {time_used:9.2f} {used.peak_mb:8d} {memory_used:9.2f}"
            print(f"{number:5d} {shares} {file_mb:8.1f}", flush=True)
            if max(time_used, memory_used, file_mb / MOST_FILE_MB) > 1:
                raise SystemExit("over the limit")


def measure(run_dirs: list[Path], output: Path, n_threads: int, grad_cam: bool) -> Used:
    """Make one report."""
    command = [sys.executable, str(SCRIPT), "--run-dir", *map(str, run_dirs)]
    command += ["--output", str(output), "--grad-cam", str(grad_cam).lower()]
    return run_timed(command, n_threads)


def complete(folder: Path, run_dirs: list[Path]) -> None:
    """Add what a report looks at and a blend does not."""
    random = np.random.default_rng(1)
    competition = folder / "competition"
    train = pd.read_csv(competition / "train.csv")
    train["sex"] = random.choice(["male", "female"], N_TRAIN)
    train["age_approx"] = random.integers(3, 18, N_TRAIN) * 5.0
    train["anatom_site_general_challenge"] = random.choice(
        ["torso", "head/neck", "lower extremity", "upper extremity", "palms/soles"], N_TRAIN
    )
    train.to_csv(competition / "train.csv", index=False)
    write_photographs(competition, train["image_name"], random)
    for run in run_dirs:
        for fold in run.glob("fold_*"):
            epochs = pd.DataFrame({"epoch": range(N_EPOCHS), "learning_rate": 1e-3})
            for name in ("train_loss", "val_loss", "val_auc"):
                epochs[name] = random.random(N_EPOCHS)
            epochs.to_csv(fold / "metrics.csv", index=False)
            (fold / "done.json").write_text(
                '{"best_epoch": 9, "seconds": 3600, "predict_seconds": 60}'
            )


def add_networks(run_dirs: list[Path], backbone: str, image_size: int) -> None:
    """Add a checkpoint to every fold, one network under many names."""
    import lightning
    import torch

    from melanoma.models.module import MelanomaModule

    module = MelanomaModule(backbone, weights="none")
    content = {"state_dict": module.state_dict(), "hyper_parameters": dict(module.hparams)}
    path = run_dirs[0] / "network.ckpt"
    torch.save({**content, "pytorch-lightning_version": lightning.__version__}, path)
    sha256 = sha256_of(path)
    for run in map(RunFolder, run_dirs):
        config = run.read_config()
        config["data"]["image_size"] = image_size
        write_json(run.config_yaml, config)  # which is YAML, too
        for fold in map(run.fold, run.finished_folds()):
            os.link(path, fold.best_checkpoint)
            done = fold.read_done() | {"files": {fold.best_checkpoint.name: sha256}}
            write_json(fold.done_json, done)


def write_photographs(
    competition: Path, names: "pd.Series[str]", random: np.random.Generator
) -> None:
    """One photograph under many names, and an images.csv with a hash for each."""
    first = copy_path(competition, "train", names.iloc[0])
    first.parent.mkdir(parents=True)
    pixels = random.integers(0, 256, (480, 640, 3), dtype=np.uint8)
    Image.fromarray(pixels).save(first, quality=85)
    for name in names.iloc[1:]:
        os.link(first, copy_path(competition, "train", name))
    hashes = [random.bytes(32).hex() for _ in names]
    sizes = {
        "split": "train",
        "width": random.choice([6000, 4000, 1920], len(names)),
        "height": 1080,
    }
    table = pd.DataFrame(
        {"image_name": names, **sizes, "bytes": first.stat().st_size, "phash": hashes}
    )
    table.to_csv(images_csv(competition), index=False)


@script
def main(arguments: list[str]) -> None:
    """Measure."""
    call(measure_reports, __doc__, arguments)


if __name__ == "__main__":
    sys.exit(main())
