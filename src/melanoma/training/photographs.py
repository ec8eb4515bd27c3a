"""The same few validation photographs after each epoch, with prediction and truth."""

import math
from pathlib import Path
from typing import Any

import lightning.pytorch as pl
import numpy as np
import numpy.typing as npt
import pandas as pd
from lightning.pytorch.callbacks import Callback
from lightning.pytorch.loggers import TensorBoardLogger, WandbLogger
from PIL import Image, ImageDraw

from melanoma.files import write_atomically
from melanoma.images.dataset import Draw, MelanomaDataset
from melanoma.tables import IMAGE_NAME, TARGET

_COLUMNS = 8
_TILE_PX = 128
_CAPTION_PX = 26
_MELANOMA, _BENIGN = (170, 30, 30), (40, 70, 110)


class ValidationPhotographs(Callback):
    """Writes a picture of a fixed set of validation photographs, the most wrong first.

    Half of them are melanomas: the first of each class in the table. The picture goes to
    `<folder>/epoch_000.png` and to TensorBoard and Weights & Biases where they are on.

    Args:
        dataset: Of the validation photographs.
        table: Their rows.
        folder: Where the pictures are written.
        n_photographs: How many.
    """

    def __init__(
        self, dataset: MelanomaDataset, table: pd.DataFrame, folder: Path, n_photographs: int = 16
    ) -> None:
        self.folder = folder
        self.table = table
        melanomas = np.flatnonzero(table[TARGET] == 1)[: n_photographs // 2]
        others = np.flatnonzero(table[TARGET] == 0)[: n_photographs - len(melanomas)]
        self.rows: list[int] = [*melanomas.tolist(), *others.tolist()]
        self.dataset = dataset
        self._tiles: dict[int, Image.Image] = {}

    def on_validation_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Draw and hand out the picture of the epoch."""
        log_odds: dict[int, float] = getattr(pl_module, "epoch_log_odds", {})
        known = [row for row in self.rows if row in log_odds]
        if not trainer.is_global_zero or trainer.sanity_checking or not known:
            return
        probability = {row: _sigmoid(log_odds[row]) for row in known}
        picture = self._draw(probability)
        path = self.folder / f"epoch_{trainer.current_epoch:03d}.png"
        write_atomically(path, picture.save)
        _hand_out(trainer, picture)

    def _draw(self, probability: dict[int, float]) -> Image.Image:
        targets = self.table[TARGET].to_numpy()
        order = sorted(probability, key=lambda row: -abs(probability[row] - targets[row]))
        n_lines = -(-len(order) // _COLUMNS)
        size = (min(_COLUMNS, len(order)) * _TILE_PX, n_lines * (_TILE_PX + _CAPTION_PX))
        picture = Image.new("RGB", size, "white")
        for place, row in enumerate(order):
            left, top = place % _COLUMNS * _TILE_PX, place // _COLUMNS * (_TILE_PX + _CAPTION_PX)
            picture.paste(self._tile(row), (left, top))
            _caption(picture, (left, top + _TILE_PX), self.table[IMAGE_NAME][row], targets[row],
                     probability[row])  # fmt: skip
        return picture

    def _tile(self, row: int) -> Image.Image:
        if row not in self._tiles:
            pixels: npt.NDArray[np.uint8] = self.dataset[Draw(0, row)]["image"].numpy()
            tile = Image.fromarray(pixels.transpose(1, 2, 0))
            self._tiles[row] = tile.resize((_TILE_PX, _TILE_PX))
        return self._tiles[row]


def _caption(
    picture: Image.Image, place: tuple[int, int], name: str, target: int, probability: float
) -> None:
    color = _MELANOMA if target else _BENIGN
    left, top = place
    drawing = ImageDraw.Draw(picture)
    drawing.rectangle((left, top, left + _TILE_PX - 2, top + _CAPTION_PX), fill=color)
    truth = "melanoma" if target else "other"
    drawing.text((left + 3, top + 1), f"{truth}  p={probability:.2f}", fill="white")
    drawing.text((left + 3, top + 13), name[-20:], fill="white")


def _hand_out(trainer: pl.Trainer, picture: Image.Image) -> None:
    for logger in trainer.loggers:
        if isinstance(logger, TensorBoardLogger):
            logger.experiment.add_image(
                "validation", np.asarray(picture), trainer.global_step, dataformats="HWC"
            )
        elif isinstance(logger, WandbLogger):
            images: list[Any] = [picture]
            logger.log_image("validation", images, step=trainer.global_step)


def _sigmoid(log_odds: float) -> float:
    return 0.5 * (1 + math.tanh(log_odds / 2))
