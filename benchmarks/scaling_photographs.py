"""What a photograph costs: bytes on disk, decoding, and fetching it over loopback: see scaling.py."""

import subprocess
import sys
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from PIL import Image

from melanoma.tables import INDEX_COLUMNS

# Width and height of the file, and the side of the square that is asked for.
KINDS = [((6000, 4000), 256), ((6000, 4000), 512), ((768, 512), 512), ((384, 256), 256)]
QUALITY = 95
# How many threads a worker fetches with: melanoma.images.dataset.
_TOGETHER = 8


def decode(folder: Path, n_photographs: int, source: Path | None) -> list[dict[str, Any]]:
    """Decode files of several sizes with one thread, the best of three rounds.

    Args:
        folder: An empty folder.
        n_photographs: How many different ones of each size.
        source: A folder of photographs which are resized to these sizes; None to draw some.
    """
    rows = []
    for (width, height), side in KINDS:
        paths = _write_photographs(
            folder / f"{width}_{side}", (width, height), n_photographs, source
        )
        read = partial(_read_all, paths, side)
        times = [_timed(read) for _ in range(3)]
        n_bytes = np.mean([path.stat().st_size for path in paths])
        rows.append({
            "file": f"{width}x{height}", "read as": side, "kB on disk": round(n_bytes / 1e3),
            "ms": round(1e3 * min(times) / n_photographs, 1),
        })  # fmt: skip
    return rows


def fetch(folder: Path, n_photographs: int, source: Path | None) -> list[dict[str, Any]]:
    """Read copies of 512 pixels from a folder, and through a mirror over HTTP on loopback."""
    from melanoma.images.reading import find_images, read_image
    from melanoma.remote.opening import local_folder

    there = folder / "there"
    paths = _write_photographs(there / "jpeg" / "train", (768, 512), n_photographs, source)
    names = [path.stem for path in paths]
    pd.DataFrame({"image_name": names, "target": 0}).to_csv(there / "train.csv", index=False)
    index = [(path.stem, "train", 6000, 4000, path.stat().st_size, "0" * 64) for path in paths]
    pd.DataFrame(index, columns=INDEX_COLUMNS).to_csv(there / "images.csv", index=False)

    def read(of: list[Path], n_threads: int = 1) -> None:
        with ThreadPoolExecutor(n_threads) as pool:
            list(pool.map(lambda path: read_image(path, 512), of))

    found: dict[str, float] = {"in a folder": _timed(lambda: read(paths))}
    with _Server(there) as address:
        for title, size, n_threads in [
            ("first time, one by one", "1GB", 1),
            ("first time, 8 together", "1GB", _TOGETHER),
            ("no place to keep them, 8 together", "1", _TOGETHER),
        ]:
            mirror = local_folder(address, folder / title, size)
            mirrored = find_images(mirror, "train", names)
            found[title] = _timed(lambda of=mirrored, n=n_threads: read(of, n))
            if n_threads == 1:
                found["second time"] = _timed(lambda of=mirrored: read(of))
    return [{"read": t, "ms": round(1e3 * s / n_photographs, 2)} for t, s in found.items()]


class _Server:
    """Python's web server, in a process of its own."""

    def __init__(self, folder: Path) -> None:
        command = [sys.executable, "-u", "-c", _SERVE, str(folder)]
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)  # noqa: S603

    def __enter__(self) -> str:
        port = self.process.stdout.readline() if self.process.stdout else ""
        return f"http://127.0.0.1:{port.strip()}"

    def __exit__(self, *_: object) -> None:
        self.process.terminate()
        self.process.communicate()


_SERVE = """
import functools, http.server, sys
class Quiet(http.server.SimpleHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    def log_message(self, *_): pass
handler = functools.partial(Quiet, directory=sys.argv[1])
server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
print(server.server_port)
server.serve_forever()
"""


def _read_all(paths: list[Path], side_px: int) -> None:
    from melanoma.images.reading import read_image

    for path in paths:
        read_image(path, side_px)


def _timed(work: Callable[[], object]) -> float:
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


def _write_photographs(
    folder: Path, size: tuple[int, int], n_photographs: int, source: Path | None
) -> list[Path]:
    folder.mkdir(parents=True)
    sources = sorted(source.glob("*.jpg"))[:n_photographs] if source else []
    paths = [folder / f"ISIC_{number:07d}.jpg" for number in range(n_photographs)]
    for number, path in enumerate(paths):
        if sources:
            with Image.open(sources[number % len(sources)]) as image:
                picture = image.convert("RGB").resize(size, Image.Resampling.BICUBIC)
        else:
            picture = _draw(size, number)
        picture.save(path, quality=QUALITY)
    return paths


def _draw(size: tuple[int, int], seed: int) -> Image.Image:
    """Soft blots and a little grain, which compress about as skin does."""
    random = np.random.default_rng(seed)
    blots = random.integers(90, 220, (24, 36, 3)).astype(np.uint8)
    soft = np.asarray(Image.fromarray(blots).resize(size, Image.Resampling.BICUBIC), dtype=np.int16)
    grain = random.integers(-4, 5, soft.shape, dtype=np.int16)
    return Image.fromarray((soft + grain).clip(0, 255).astype(np.uint8))
