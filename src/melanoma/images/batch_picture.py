"""A picture of what the network is fed: photographs as they are after augmentation, and labels."""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import cast

from PIL import Image, ImageDraw, ImageFont

from melanoma.errors import ConfigError
from melanoma.files import write_atomically
from melanoma.images.datamodule import MelanomaDataModule
from melanoma.images.dataset import DrawSampler
from melanoma.images.reading import Pixels
from melanoma.tables import DIAGNOSIS, IMAGE_NAME

_COLUMNS = 8
# Smaller photographs are enlarged by a whole number, so that each pixel can be seen and there is
# room for the text below.
_NARROWEST_PX = 160
_MARGIN_PX = 12
_FRAME_PX = 4
_LINE_PX = 17
_FONT_PX = 13
_TITLE_PX = 34
_TITLE_FONT_PX = 18

_PAPER, _INK, _RED = (255, 255, 255), (30, 30, 30), (214, 39, 40)


@dataclass(frozen=True)
class FedPhotograph:
    """A photograph as the network gets it.

    Attributes:
        image_name: Its name in the table.
        is_melanoma: Whether its target is 1.
        diagnosis: From the table; None where it has none.
        pixels: Shape (S, S, 3), uint8 RGB.
    """

    image_name: str
    is_melanoma: bool
    diagnosis: str | None
    pixels: Pixels

    @property
    def label(self) -> str:
        """What the network is told, and the diagnosis where it says more."""
        told = "melanoma" if self.is_melanoma else "target 0"
        return f"{told}, {self.diagnosis}" if self.diagnosis not in (None, told) else told


def draw_batch(
    data: MelanomaDataModule,
    path: Path,
    epoch: int = 0,
    n_images: int = 32,
    run_name: str | None = None,
) -> Path:
    """Draw the first photographs of an epoch exactly as the network is fed them in training.

    Melanomas are framed in red. Where an epoch has fewer photographs than asked for, all are drawn.

    Args:
        data: The data module of a fold; its tables are read where that has not been done.
        path: A .png file.
        epoch: From 0; another epoch is another order and other random changes.
        n_images: How many photographs.
        run_name: For the title.

    Raises:
        ConfigError: If a number is out of range, the path is no .png, or the fold is not there.
        TableError, ImageError: If tables or photographs are missing or cannot be read.
    """
    if n_images < 1:
        raise ConfigError(f"--n_images {n_images}: must be at least 1.")
    if epoch < 0:
        raise ConfigError(f"--epoch {epoch}: must not be negative; the first epoch is 0.")
    if path.suffix.lower() != ".png":
        raise ConfigError(f"--output {path}: must end in .png, which keeps every pixel as it is.")
    data.setup()
    fed = list(islice(fed_photographs(data, epoch), n_images))
    picture = _compose(fed, _title(data, fed, epoch, run_name))
    return write_atomically(path, lambda file: picture.save(file))


def fed_photographs(data: MelanomaDataModule, epoch: int) -> Iterator[FedPhotograph]:
    """Take the photographs of an epoch from the training loader, in its order.

    Args:
        data: A data module that has been set up.
        epoch: From 0.
    """
    table = data.table("train")
    loader = data.train_dataloader()
    cast(DrawSampler, loader.sampler).set_epoch(epoch)
    for batch in loader:
        for pixels, target, row in zip(batch["image"], batch["target"], batch["index"].tolist()):
            diagnosis = table[DIAGNOSIS][row] if DIAGNOSIS in table else None
            yield FedPhotograph(
                image_name=str(table[IMAGE_NAME][row]),
                is_melanoma=bool(target == 1),
                # A missing value is read as NaN.
                diagnosis=diagnosis if isinstance(diagnosis, str) else None,
                pixels=pixels.permute(1, 2, 0).numpy(),
            )


def _title(
    data: MelanomaDataModule, fed: list[FedPhotograph], epoch: int, run_name: str | None
) -> str:
    melanomas = sum(photograph.is_melanoma for photograph in fed)
    facts = (
        f"augmentation {data.augmentation}, {data.image_size} pixels, fold {data.fold} left out, "
        f"epoch {epoch}: {len(fed)} photographs, {melanomas} melanomas"
    )
    return f"{run_name}: {facts}" if run_name else facts


def _compose(fed: list[FedPhotograph], title: str) -> Image.Image:
    side_px = fed[0].pixels.shape[0]
    side_px *= max(1, -(-_NARROWEST_PX // side_px))
    columns = min(_COLUMNS, len(fed))
    rows = -(-len(fed) // columns)
    step = (side_px + _MARGIN_PX, side_px + 2 * _LINE_PX + _MARGIN_PX)
    title_font = _font(_TITLE_FONT_PX)
    width_px = max(columns * step[0], int(title_font.getlength(title)) + _MARGIN_PX) + _MARGIN_PX
    height_px = _TITLE_PX + rows * step[1] + _MARGIN_PX
    picture = Image.new("RGB", (width_px, height_px), _PAPER)
    canvas = ImageDraw.Draw(picture)
    canvas.text((_MARGIN_PX, _MARGIN_PX // 2), title, _INK, title_font)
    for place, photograph in enumerate(fed):
        row, column = divmod(place, columns)
        corner = (_MARGIN_PX + column * step[0], _TITLE_PX + _MARGIN_PX // 2 + row * step[1])
        _add_tile(picture, canvas, photograph, corner, side_px)
    return picture


def _add_tile(
    picture: Image.Image,
    canvas: ImageDraw.ImageDraw,
    photograph: FedPhotograph,
    corner: tuple[int, int],
    side_px: int,
) -> None:
    """Add a photograph with its text below; the frame lies outside, so that no pixel is hidden."""
    left, top = corner
    if photograph.is_melanoma:
        frame = (left - _FRAME_PX, top - _FRAME_PX)
        far = (left + side_px + _FRAME_PX - 1, top + side_px + _FRAME_PX - 1)
        canvas.rectangle((frame, far), fill=_RED)
    tile = Image.fromarray(photograph.pixels)
    picture.paste(tile.resize((side_px, side_px), Image.Resampling.NEAREST), corner)
    font = _font(_FONT_PX)
    colour = _RED if photograph.is_melanoma else _INK
    for line, text in enumerate((photograph.image_name, photograph.label)):
        place = (left, top + side_px + _FRAME_PX + line * _LINE_PX)
        canvas.text(place, _shorten(text, font, side_px), colour, font)


def _font(size_px: int) -> ImageFont.FreeTypeFont:
    # Pillow brings one along; its bitmap font, the other type, is only for a call without a size.
    return cast(ImageFont.FreeTypeFont, ImageFont.load_default(size_px))


def _shorten(text: str, font: ImageFont.FreeTypeFont, width_px: int) -> str:
    """Cut a text that would run into the next photograph's."""
    if font.getlength(text) <= width_px:
        return text
    while text and font.getlength(text + "...") > width_px:
        text = text[:-1]
    return text + "..."
