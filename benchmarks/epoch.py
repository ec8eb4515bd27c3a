"""One epoch, training and validation: the introductory recipe, ours, and the network alone.

Real photographs of ../shared/data/isic2018. The introductory recipe is what the first notebooks of
the competition publish: PIL, albumentations, efficientnet-pytorch, float32, torch's own memory
layout, and a Lightning Trainer with its defaults. Ours is what train_folds.py runs, with the same
photographs, batch size, workers and list of augmentations. The ceiling is the same network on one
batch that stays in memory: no photograph is read. Each is trained in a process of its own, one
after the other.
"""

import json
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal

import lightning.pytorch as pl
import pandas as pd
import torch
from common import SHARED, call
from introductory import Stopwatch, train_introductory

from melanoma.command_line import script
from melanoma.folds.creation import create_folds
from melanoma.images.datamodule import MelanomaDataModule
from melanoma.images.dataset import Batch
from melanoma.models.module import MelanomaModule
from melanoma.training.config import RunConfig, parse_config
from melanoma.training.noise import silence_known_noise
from melanoma.training.trainer import create_trainer

DATA_DIR = SHARED / "isic2018"
Contender = Literal["introductory", "timm", "efficientnet-pytorch"]
BACKBONES = {
    "timm": "tf_efficientnet_b0",
    "efficientnet-pytorch": "efficientnet_pytorch:efficientnet-b0",
}


def compare(
    data_dir: Path = DATA_DIR,
    n_images: int = 640,
    image_size: int = 224,
    batch_size: int = 64,
    num_workers: int = 2,
    repeats: int = 3,
    accelerator: str = "cpu",
    cache: bool = True,
    contenders: list[Contender] | None = None,
    options: list[str] | None = None,
) -> None:
    """Print images per second, their ratio to the introductory recipe, and to the ceiling.

    Args:
        data_dir: A competition folder with photographs.
        n_images: Of its training table, a fifth of them to validate.
        image_size: In pixels.
        batch_size: Photographs per step.
        num_workers: Of each data loader.
        repeats: Epochs after the first, which warms up; their median counts.
        accelerator: cpu, or gpu where there is one.
        cache: Let ours keep decoded photographs (data.cache).
        contenders: Some of introductory, timm, efficientnet-pytorch; all by default.
        options: Further options of train_folds.py for ours.
    """
    with tempfile.TemporaryDirectory() as folder:
        folds_csv = _subset(data_dir, Path(folder), n_images)
        settings = {
            "folds_csv": str(folds_csv), "image_size": image_size, "batch_size": batch_size,
            "num_workers": num_workers, "repeats": repeats, "accelerator": accelerator,
            "cache": str(Path(folder) / "cache") if cache else None, "options": options or [],
        }  # fmt: skip
        print(
            f"{n_images} images of {image_size} pixels, batch {batch_size}, {num_workers} workers"
        )
        print(f"{'':22}{'images/s':>9}{'ratio':>8}{'ceiling':>9}{'share':>7}  how", flush=True)
        base = None
        for contender in contenders or ["introductory", *BACKBONES]:
            found = _in_own_process({"contender": contender, **settings})
            base = base or found["rate"]
            ceiling = found.get("ceiling")
            of_ceiling = f"{ceiling:9.1f}{found['rate'] / ceiling:7.1%}" if ceiling else " " * 16
            ratio = f"{found['rate'] / base:7.1f}x"
            print(
                f"{contender:22}{found['rate']:9.1f}{ratio}{of_ceiling}  {found['how']}", flush=True
            )


def _subset(data_dir: Path, folder: Path, n_images: int) -> Path:
    """A competition of the first images, and its five folds."""
    train = pd.read_csv(data_dir / "train.csv").head(n_images)
    train.to_csv(folder / "train.csv", index=False)
    (folder / "jpeg").mkdir()
    (folder / "jpeg" / "train").symlink_to((data_dir / "jpeg" / "train").resolve())
    create_folds(folder, output=folder / "folds.csv")
    return folder / "folds.csv"


def _in_own_process(settings: dict[str, Any]) -> dict[str, Any]:
    command = [sys.executable, __file__, "--measure", json.dumps(settings)]
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)  # noqa: S603
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return found


def _measure(settings: dict[str, Any]) -> dict[str, Any]:
    silence_known_noise()
    if settings["contender"] == "introductory":
        return train_introductory(settings)
    return _measure_ours(settings)


def _measure_ours(settings: dict[str, Any]) -> dict[str, Any]:
    config = _our_config(settings)
    data = config.data_module(0)
    data.prepare_data()
    data.setup()
    module = config.module(data)
    watch = Stopwatch()
    config.trainer["callbacks"] = [watch]
    trainer = create_trainer(config, 0, data)
    trainer.fit(module, datamodule=data)
    n_images = sum(len(data.table(stage)) for stage in ("train", "val"))
    return {
        "rate": watch.rate(n_images),
        "ceiling": _ceiling(module.to(trainer.strategy.root_device), trainer, data, settings),
        "how": f"{trainer.precision}, {module.acceleration}",
    }


def _our_config(settings: dict[str, Any]) -> RunConfig:
    folder = Path(settings["folds_csv"]).parent
    cache = [f"--data.cache={settings['cache']}"] if settings["cache"] else []
    return parse_config([
        f"--run_dir={folder / 'run'}", f"--data.data_dir={folder}",
        f"--data.folds_csv={settings['folds_csv']}", f"--data.image_size={settings['image_size']}",
        f"--data.batch_size={settings['batch_size']}", *cache,
        f"--data.num_workers={settings['num_workers']}", "--data.augmentation=light",
        f"--model.backbone={BACKBONES[settings['contender']]}", "--model.weights=none",
        f"--trainer.max_epochs={1 + settings['repeats']}", "--logger=csv", "--photographs=0",
        f"--trainer.accelerator={settings['accelerator']}", "--trainer.enable_model_summary=false",
        "--trainer.enable_progress_bar=false", *settings["options"],
    ])  # fmt: skip


def _ceiling(
    module: MelanomaModule, trainer: pl.Trainer, data: MelanomaDataModule, settings: dict[str, Any]
) -> float:
    """Images per second of as many steps on one resident batch, without Lightning."""
    batch: Batch = next(iter(data.train_dataloader()))
    image, target = batch["image"].to(module.device), batch["target"].to(module.device)
    n_train, n_val = len(data.table("train")), len(data.table("val"))
    size = len(target)
    optimizer = module.create_optimizer()
    context: Callable[[], Any] = trainer.precision_plugin.forward_context

    def train() -> None:
        with context():
            logits = module.network(module.network.normalise(image))
            loss = module.loss(logits, target[:, None])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()

    def validate() -> None:
        with torch.inference_mode(), context():
            module.network(module.network.normalise(image))

    module.train()
    train_s = _median_seconds(train, settings["repeats"])
    module.eval()
    validate_s = _median_seconds(validate, settings["repeats"])
    steps = n_train // size
    return (steps * size + n_val) / (steps * train_s + n_val / size * validate_s)


def _median_seconds(step: Callable[[], None], repeats: int) -> float:
    seconds = []
    for _ in range(2 + 3 * repeats):
        started = time.perf_counter()
        step()
        if torch.cuda.is_available():
            torch.cuda.synchronize()
        seconds.append(time.perf_counter() - started)
    return statistics.median(seconds[2:])


@script
def main(arguments: list[str]) -> None:
    """Parse the command line."""
    if arguments[:1] == ["--measure"]:
        print(json.dumps(_measure(json.loads(arguments[1]))))
        return
    call(compare, __doc__, arguments)


if __name__ == "__main__":
    sys.exit(main())
