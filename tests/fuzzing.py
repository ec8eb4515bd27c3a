"""Damaged and odd bytes for everything that reads a user's file, and what may come of them."""

import contextlib
import io
import json
import pickle
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import torch
import yaml
from PIL import Image
from safetensors.torch import save as as_safetensors

from melanoma.errors import MelanomaError
from melanoma.folds.files import read_description, read_fold_column, read_folds
from melanoma.images.reading import check_images, read_image
from melanoma.models.backbones import create_backbone
from melanoma.models.weights import check_weights
from melanoma.run_folder import FoldFolder, RunFolder
from melanoma.tables import (
    OOF_COLUMNS,
    read_duplicates,
    read_predictions,
    read_sample_submission,
    read_test,
    read_train,
)
from melanoma.training.config import parse_config

_MOST_BYTES = 1 << 16
# Numbers that formats count with, and words that tables, YAML and JSON know.
_NUMBERS = [0, 1, 0x7F, 0x80, 0xFF, 0x7FFF, 0xFFFF, 0x7FFFFFFF, 0xFFFFFFFF]
_WORDS = [
    *(
        b",",
        b"\n",
        b'"',
        b"\r",
        b"\x00",
        b"\xff\xfe",
        b"\xef\xbb\xbf",
        b"nan",
        b"inf",
        b"-1",
        b"1e999",
    ),
    *(b": ", b"- ", b"[", b"{", b"&a ", b"*a", b"!!python/name:os.system ", b"../", b"null", b"~"),
]


@dataclass(frozen=True)
class Surface:
    """Something that reads a user's file.

    Attributes:
        name: Of it.
        file_name: Under which it is given the bytes.
        seeds: Right bytes, to be damaged.
        readers: Each is called with the path of the file.
    """

    name: str
    file_name: str
    seeds: list[bytes]
    readers: list[Callable[[Path], object]]

    def __repr__(self) -> str:
        # In a report of hypothesis the bytes would fill pages.
        return self.name

    def read(self, folder: Path, content: bytes) -> bool:
        """Give bytes to every reader; an error that no user should see comes out.

        Returns:
            Whether one of them took the bytes.
        """
        path = folder / self.file_name
        path.write_bytes(content)
        taken = [_is_taken(reader, path) for reader in self.readers]
        return any(taken)


def _is_taken(reader: Callable[[Path], object], path: Path) -> bool:
    try:
        with contextlib.redirect_stderr(io.StringIO()), contextlib.redirect_stdout(io.StringIO()):
            reader(path)
    except MelanomaError:
        return False
    except SystemExit as ended:  # the parser's way to refuse
        if ended.code != 2:
            raise
        return False
    return True


def damage(content: bytes, other: bytes, random: np.random.Generator) -> bytes:
    """Change bytes in one to four ways: flip, cut, insert, splice, repeat, replace a number.

    Args:
        content: What is damaged.
        other: Another valid content, to take pieces from.
        random: Source of the changes.
    """
    damaged = bytearray(content)
    for _ in range(random.integers(1, 5)):
        _DAMAGES[random.integers(len(_DAMAGES))](damaged, other, random)
    return bytes(damaged[:_MOST_BYTES])


def _place(content: bytes | bytearray, random: np.random.Generator) -> int:
    return int(random.integers(len(content) + 1))


def _flip(content: bytearray, _: bytes, random: np.random.Generator) -> None:
    for _place_ in random.integers(max(1, len(content)), size=random.integers(1, 9)):
        if content:
            content[_place_] ^= 1 << int(random.integers(8))


def _cut(content: bytearray, _: bytes, random: np.random.Generator) -> None:
    first, last = sorted((_place(content, random), _place(content, random)))
    del content[first : last if random.random() < 0.7 else None]


def _insert(content: bytearray, _: bytes, random: np.random.Generator) -> None:
    place = _place(content, random)
    content[place:place] = (
        _WORDS[random.integers(len(_WORDS))] if random.random() < 0.6 else random.bytes(8)
    )


def _splice(content: bytearray, other: bytes, random: np.random.Generator) -> None:
    first, last = sorted((_place(other, random), _place(other, random)))
    place = _place(content, random)
    content[place : place + int(random.integers(64))] = other[first:last]


def _repeat(content: bytearray, _: bytes, random: np.random.Generator) -> None:
    first = _place(content, random)
    piece = content[first : first + int(random.integers(1, 64))]
    content[first:first] = piece * int(random.integers(1, 200))


def _number(content: bytearray, _: bytes, random: np.random.Generator) -> None:
    number = _NUMBERS[random.integers(len(_NUMBERS))]
    width = int(random.choice([1, 2, 4]))
    order = "big" if random.random() < 0.5 else "little"
    place = _place(content, random)
    new = (number & (256**width - 1)).to_bytes(width, order)
    content[place : place + width] = new


_DAMAGES = [_flip, _cut, _insert, _splice, _repeat, _number]


def surfaces(folder: Path) -> list[Surface]:
    """Every reader, with what it needs beside the file in `folder`."""
    table = _train()
    right = folder / "right"
    right.mkdir(parents=True, exist_ok=True)
    table.to_csv(right / "train.csv", index=False)
    return [
        Surface(
            "images",
            "photograph.jpg",
            pictures(),
            [lambda path: check_images([path]), lambda path: read_image(path, 32)],
        ),
        Surface("tables", "train.csv", _tables(table), _table_readers(right)),
        Surface("configs", "config.yaml", _configs(), [_read_config]),
        Surface(
            "run files",
            "done.json",
            [json.dumps({"fold": 0, "files": {"test.csv": "0" * 64}}).encode(), *_configs()],
            [
                lambda path: FoldFolder(path.parent).read_done(),
                lambda path: FoldFolder(path.parent).is_predicted,
                lambda path: read_description(path.with_suffix(".csv")),
                lambda path: RunFolder(
                    path.rename(path.with_name("config.yaml")).parent
                ).read_config(),
            ],
        ),
        Surface("weights", "weights.pth", _weights(), [_read_weights]),
        Surface("safetensors", "weights.safetensors", [_safetensors()], [_read_weights]),
    ]


def pictures() -> list[bytes]:
    """Small photographs of every kind that the reader knows."""
    pixels = np.random.default_rng(0).integers(0, 256, (24, 32, 3), dtype=np.uint8)
    rgb = Image.fromarray(pixels)
    exif = Image.Exif()
    exif[0x0112] = 6
    kinds: list[tuple[Image.Image, str, dict[str, object]]] = [
        (rgb, "JPEG", {}),
        (rgb, "JPEG", {"progressive": True, "exif": exif.tobytes()}),
        (rgb.convert("CMYK"), "JPEG", {}),
        (rgb.convert("L"), "JPEG", {}),
        (rgb, "PNG", {}),
        (rgb.convert("RGBA"), "PNG", {}),
        (rgb.convert("P"), "PNG", {}),
        (Image.fromarray(pixels[..., 0].astype(np.uint16) * 200), "PNG", {}),
        *((rgb, name, {}) for name in ("GIF", "BMP", "TIFF", "WEBP", "PPM")),
    ]
    return [_encoded(*kind) for kind in kinds]


def _encoded(picture: Image.Image, name: str, options: dict[str, object]) -> bytes:
    buffer = io.BytesIO()
    picture.save(buffer, name, **options)
    return buffer.getvalue()


def _train() -> pd.DataFrame:
    rows = range(12)
    return pd.DataFrame(
        {
            "image_name": [f"ISIC_{row:03d}" for row in rows],
            "patient_id": [f"P{row // 2}" for row in rows],
            "sex": ["male", "female", ""] * 4,
            "age_approx": [30.0 + row for row in rows],
            "target": [row % 2 for row in rows],
        }
    )


def _tables(train: pd.DataFrame) -> list[bytes]:
    folds = train[["image_name"]].assign(fold=[row // 2 % 2 for row in range(12)])
    oof = train[["image_name", "patient_id", "target"]].assign(fold=0, prediction=0.25)
    pairs = pd.DataFrame({"image_name_1": ["ISIC_000"], "image_name_2": ["ISIC_003"]})
    tables = (train, folds, oof, pairs)
    return [table.to_csv(index=False).encode() for table in tables]


def _table_readers(right: Path) -> list[Callable[[Path], object]]:
    def renamed(name: str, reader: Callable[[Path], object]) -> Callable[[Path], object]:
        def reads(path: Path) -> object:
            copy = path.with_name(name)
            copy.write_bytes(path.read_bytes())
            return reader(copy.parent)

        return reads

    return [
        lambda path: read_train(path.parent),
        renamed("test.csv", read_test),
        renamed("sample_submission.csv", read_sample_submission),
        read_duplicates,
        read_predictions,
        lambda path: read_predictions(path, OOF_COLUMNS),
        read_fold_column,
        lambda path: read_folds(path, right),
    ]


def _configs() -> list[bytes]:
    settings = {
        "seed": 3,
        "data": {"image_size": 32, "batch_size": 4, "augmentation": "light", "cache": None},
        "model": {"backbone": "test_resnet", "weights": "none", "metadata_sizes": [8, 4]},
        "trainer": {"max_epochs": 2, "precision": "32-true", "accelerator": "cpu"},
    }
    return [yaml.safe_dump(settings).encode(), json.dumps(settings).encode()]


def _read_config(path: Path) -> object:
    return parse_config([f"--config={path}", "--run_dir=runs/fuzzed"])


def _read_weights(path: Path) -> None:
    check_weights(str(path), "test_resnet")


def _state() -> dict[str, torch.Tensor]:
    # Few of its tensors: what is read matters, not whether it fits.
    state = create_backbone("test_resnet").network.state_dict()
    return dict(sorted(state.items(), key=lambda item: item[1].numel())[:12])


def _weights() -> list[bytes]:
    contents = []
    for content, is_zip in [(_state(), True), (_state(), False), ({"state_dict": _state()}, True)]:
        buffer = io.BytesIO()
        torch.save(content, buffer, _use_new_zipfile_serialization=is_zip)
        contents.append(buffer.getvalue())
    return [*contents, pickle.dumps({"weight": [1.0, 2.0]}, protocol=2)]


def _safetensors() -> bytes:
    return as_safetensors({name: tensor.contiguous() for name, tensor in _state().items()})
