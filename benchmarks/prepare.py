"""Row 1: a 6000x4000 JPEG to a copy of 512 pixels, per photograph, on one core.

Beside what scripts/prepare_images.py does (decoding, turning upright, resizing, hashing, encoding,
writing under a temporary name, renaming): Pillow as most people use it, and the scaled decoding of
the JPEG alone. The photographs are those of the folder given, enlarged, with the noise of a sensor.
"""

import os

# Before NumPy is imported: one core is what is measured.
os.environ["OMP_NUM_THREADS"] = "1"

import statistics
import sys
import time
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
from common import SHARED, call
from PIL import Image

from melanoma.command_line import script
from melanoma.errors import ImageError
from melanoma.images.copies import CopyJob, CopySettings, make_copy

SIZE = (6000, 4000)
COPY_PX, COPY_SIZE = 512, (768, 512)
QUALITY = 95
# Of 0..255; at this quality files of about 2 MB, as those of the competition.
NOISE, SOURCE_QUALITY = 2.0, 85


def compare(
    data_dir: Path = SHARED / "isic2018" / "original",
    n_photographs: int = 6,
    repeats: int = 15,
) -> None:
    """Print the milliseconds of each way, the median over photographs and repeats, and two ratios.

    Args:
        data_dir: A folder of JPEG photographs of about 3:2.
        n_photographs: How many of them are used.
        repeats: Rounds; in each, every way is taken with every photograph. One more warms up.
    """
    originals = sorted(data_dir.glob("*.jpg"))[:n_photographs]
    if not originals:
        raise ImageError(f"{data_dir}: no .jpg files. Give a folder of photographs as --data_dir.")
    with TemporaryDirectory() as folder:
        photographs = [enlarge(path, Path(folder) / path.name) for path in originals]
        size_mb = statistics.mean(path.stat().st_size for path in photographs) / 1e6
        print(f"{len(photographs)} photographs of {SIZE[0]}x{SIZE[1]}, {size_mb:.1f} MB on average")
        seconds = measure(photographs, Path(folder) / "copy.jpg", repeats)
    for name, of_way in seconds.items():
        print(f"{name:40} {1000 * statistics.median(of_way):7.1f} ms")
    pillow, decoding, ours = (np.array(of_way) for of_way in seconds.values())
    # Within a round: what else the machine does at that time slows all ways alike.
    faster, longer = np.median(pillow / ours), np.median(ours / decoding)
    print(f"{'as fast as Pillow':40} {faster:7.2f} x   (goal: 5 at least)")
    print(f"{'the time of the scaled decoding alone':40} {longer:7.2f} x   (goal: 1.25 at most)")


def measure(photographs: list[Path], copy: Path, repeats: int) -> dict[str, list[float]]:
    """The seconds of each way by its name: in each round, one way after the other."""
    ways: dict[str, Callable[[Path, Path], object]] = {
        "Pillow: open, convert, resize, save": as_most_do,
        "scaled decoding alone": decode_scaled,
        "prepare_images.py, all it does": prepare,
    }
    seconds: dict[str, list[float]] = {name: [] for name in ways}
    for repeat in range(1 + repeats):
        for name, way in ways.items():
            for photograph in photographs:
                copy.unlink(missing_ok=True)
                start = time.perf_counter()
                way(photograph, copy)
                if repeat:
                    seconds[name].append(time.perf_counter() - start)
    return seconds


def as_most_do(photograph: Path, copy: Path) -> None:
    """Pillow without its scaled decoding."""
    picture = Image.open(photograph).convert("RGB").resize(COPY_SIZE)
    picture.save(copy, quality=QUALITY)


def decode_scaled(photograph: Path, _copy: Path) -> None:
    """The least that has to be done."""
    with Image.open(photograph) as image:
        image.draft("RGB", (COPY_PX, COPY_PX))
        image.load()


def prepare(photograph: Path, copy: Path) -> None:
    """What a worker of scripts/prepare_images.py does."""
    result = make_copy(CopyJob(photograph, copy), CopySettings(COPY_PX, False, QUALITY))
    if not result.is_new:
        raise ImageError(f"{photograph}: no copy was made. Is the folder writable?")


def enlarge(path: Path, enlarged: Path) -> Path:
    """Write a photograph at 6000x4000, with noise, as a JPEG of realistic size."""
    with Image.open(path) as original:
        pixels = np.asarray(original.convert("RGB").resize(SIZE), dtype=np.float32)
    noise = np.random.default_rng(0).standard_normal((*pixels.shape[:2], 1), dtype=np.float32)
    noisy = (pixels + NOISE * noise).clip(0, 255).round().astype(np.uint8)
    Image.fromarray(noisy).save(enlarged, quality=SOURCE_QUALITY)
    return enlarged


@script
def main(arguments: list[str]) -> None:
    """Compare."""
    call(compare, __doc__, arguments)


if __name__ == "__main__":
    sys.exit(main())
