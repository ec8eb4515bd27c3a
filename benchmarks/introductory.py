"""The introductory recipe as the first notebooks of the competition publish it, for comparison."""

import os
import statistics
import time
from pathlib import Path
from typing import Any

os.environ.setdefault("NO_ALBUMENTATIONS_UPDATE", "1")
import albumentations as A  # noqa: N812
import lightning.pytorch as pl
import numpy as np
import pandas as pd
import torch
from albumentations.pytorch import ToTensorV2
from efficientnet_pytorch import EfficientNet
from PIL import Image
from torch import Tensor, nn
from torch.utils.data import DataLoader, Dataset


class Stopwatch(pl.Callback):
    """Seconds of each epoch, from its first training batch to its last validation batch."""

    def __init__(self) -> None:
        self.seconds: list[float] = []

    def on_train_epoch_start(self, *_: Any) -> None:
        """Start it."""
        self._started = time.perf_counter()

    def on_train_epoch_end(self, *_: Any) -> None:
        """Stop it, when all that the epoch asked of the device is done."""
        if torch.cuda.is_available():
            torch.cuda.synchronize()
        self.seconds.append(time.perf_counter() - self._started)

    def rate(self, n_images: int) -> float:
        """Images per second: the median of all epochs but the first, which warms up."""
        return n_images / statistics.median(self.seconds[1:])


class _IntroductoryDataset(Dataset[Any]):
    def __init__(self, table: pd.DataFrame, folder: Path, size: int, augmented: bool) -> None:
        self.table = table.reset_index(drop=True)
        self.folder = folder
        changes = [A.D4(p=1.0), A.RandomBrightnessContrast(0.1, 0.1, p=0.5)] if augmented else []
        self.transform = A.Compose([A.Resize(size, size), *changes, A.Normalize(), ToTensorV2()])

    def __len__(self) -> int:
        return len(self.table)

    def __getitem__(self, row: int) -> Any:
        name = self.table["image_name"][row]
        image = np.array(Image.open(self.folder / f"{name}.jpg"))
        return self.transform(image=image)["image"], float(self.table["target"][row])


class _IntroductoryModule(pl.LightningModule):
    def __init__(self) -> None:
        super().__init__()
        self.net = EfficientNet.from_name("efficientnet-b0", num_classes=1)

    def _step(self, batch: Any) -> Tensor:
        image, target = batch
        logits = self.net(image).squeeze(1)
        return nn.functional.binary_cross_entropy_with_logits(logits, target.float())

    def training_step(self, batch: Any, batch_idx: int) -> Tensor:
        loss = self._step(batch)
        self.log("train_loss", loss, prog_bar=True)
        return loss

    def validation_step(self, batch: Any, batch_idx: int) -> None:
        self.log("val_loss", self._step(batch), prog_bar=True)

    def configure_optimizers(self) -> torch.optim.Optimizer:
        return torch.optim.Adam(self.parameters(), lr=5e-4)


def train_introductory(settings: dict[str, Any]) -> dict[str, Any]:
    """Train it for some epochs; images per second of training and validation together."""
    folds_csv = Path(settings["folds_csv"])
    train = pd.read_csv(folds_csv.parent / "train.csv")
    validates = pd.read_csv(folds_csv)["fold"] == 0
    loaders = [
        DataLoader(
            _IntroductoryDataset(
                table, folds_csv.parent / "jpeg" / "train", settings["image_size"], augmented
            ),
            batch_size=settings["batch_size"],
            shuffle=augmented,
            num_workers=settings["num_workers"],
        )
        for table, augmented in [(train[~validates], True), (train[validates], False)]
    ]
    watch = Stopwatch()
    trainer = pl.Trainer(
        max_epochs=1 + settings["repeats"],
        accelerator=settings["accelerator"],
        callbacks=[watch],
        default_root_dir=str(folds_csv.parent),
        enable_progress_bar=False,
        enable_model_summary=False,
        logger=False,
    )
    trainer.fit(_IntroductoryModule(), *loaders)
    return {"rate": watch.rate(len(train)), "how": "float32"}
