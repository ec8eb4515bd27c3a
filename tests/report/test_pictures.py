import base64
from io import BytesIO
from pathlib import Path

import numpy as np
from PIL import Image

from melanoma.report.pictures import BUDGET_BYTES, as_data_uris, load_photographs, overlay_uri


def noise(n: int) -> dict[str, Image.Image]:
    random = np.random.default_rng(0)
    pixels = random.integers(0, 256, (800, 800, 3), dtype=np.uint8)
    return {str(number): Image.fromarray(pixels) for number in range(n)}


def picture_in(uri: str) -> Image.Image:
    return Image.open(BytesIO(base64.b64decode(uri.partition(",")[2])))


def test_photographs_of_any_kind_fit_into_the_budget() -> None:
    uris = as_data_uris(noise(18))
    assert sum(map(len, uris.values())) <= BUDGET_BYTES
    assert as_data_uris({}) == {}


def test_few_photographs_are_large() -> None:
    assert picture_in(as_data_uris(noise(1))["0"]).size == (800, 800)


def test_what_is_missing_or_damaged_is_said(competition: Path) -> None:
    damaged = competition / "jpeg/train/TRAIN_001.jpg"
    damaged.write_bytes(damaged.read_bytes()[:50])
    found, problems = load_photographs(competition, ["TRAIN_000", "TRAIN_001", "NOBODY"])
    assert list(found) == ["TRAIN_000"]
    assert [name in problem for name, problem in zip(["TRAIN_001", "NOBODY"], problems)] == [
        True
    ] * 2
    assert load_photographs(competition / "away", ["TRAIN_000"])[1][0].endswith("--data-dir.")


def test_an_overlay_is_the_less_transparent_the_hotter() -> None:
    overlay = np.asarray(picture_in(overlay_uri(np.array([[0.0, 1.0], [0.0, 1.0]]))))
    assert overlay.shape == (64, 64, 4)
    assert overlay[0, 0, 3] == 0
    assert overlay[0, -1, 3] > 100
