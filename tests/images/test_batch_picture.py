import runpy
from collections.abc import Callable
from itertools import islice
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from melanoma.errors import ConfigError
from melanoma.images import batch_picture
from melanoma.images.batch_picture import FedPhotograph, draw_batch, fed_photographs
from melanoma.images.datamodule import MelanomaDataModule
from melanoma.images.reading import Pixels

ROOT = Path(__file__).resolve().parents[2]
RED = (214, 39, 40)


def data_module(competition: Path, folds_csv: Path, **settings: object) -> MelanomaDataModule:
    options = {"image_size": 16, "batch_size": 4, "num_workers": 0, **settings}
    return MelanomaDataModule(str(competition), str(folds_csv), **options)  # type: ignore[arg-type]


def count_tiles(monkeypatch: pytest.MonkeyPatch) -> list[tuple[FedPhotograph, tuple[int, int]]]:
    """Note every tile that is drawn: what, and where its upper left corner is."""
    drawn = []
    add_tile = batch_picture._add_tile

    def note(picture, canvas, photograph, corner, side_px):  # type: ignore[no-untyped-def]
        drawn.append((photograph, corner))
        add_tile(picture, canvas, photograph, corner, side_px)

    monkeypatch.setattr(batch_picture, "_add_tile", note)
    return drawn


def pixels_of(path: Path) -> Pixels:
    with Image.open(path) as picture:
        return np.asarray(picture.convert("RGB"))


def test_the_photographs_are_those_the_network_is_fed(competition: Path, folds_csv: Path) -> None:
    data = data_module(competition, folds_csv, augmentation="heavy")
    data.setup()
    loader = data.train_dataloader()
    loader.sampler.set_epoch(2)  # type: ignore[attr-defined]
    batches = list(islice(loader, 2))
    images = [image for batch in batches for image in batch["image"]]
    rows = [int(row) for batch in batches for row in batch["index"]]
    fed = list(islice(fed_photographs(data, epoch=2), 8))
    assert [f.image_name for f in fed] == [data.table("train")["image_name"][row] for row in rows]
    assert [f.is_melanoma for f in fed] == [data.table("train")["target"][row] == 1 for row in rows]
    for photograph, image in zip(fed, images, strict=True):
        assert np.array_equal(photograph.pixels, image.permute(1, 2, 0).numpy())


def test_every_photograph_lies_in_the_picture_pixel_by_pixel(
    competition: Path, folds_csv: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    drawn = count_tiles(monkeypatch)
    data = data_module(competition, folds_csv, augmentation="medium")
    picture = pixels_of(draw_batch(data, tmp_path / "batch.png", n_images=11))
    assert len(drawn) == 11
    assert len({corner for _, corner in drawn}) == 11
    for photograph, (left, top) in drawn:
        # 16 pixels are enlarged to 160.
        tile = picture[top : top + 160 : 10, left : left + 160 : 10]
        assert np.array_equal(tile, photograph.pixels)
        framed = tuple(picture[top - 2, left + 80]) == RED
        assert framed == photograph.is_melanoma
    assert {photograph.is_melanoma for photograph, _ in drawn} == {True, False}


def test_another_epoch_is_another_picture_and_the_same_the_same(
    competition: Path, folds_csv: Path, tmp_path: Path
) -> None:
    pictures = []
    for number, epoch in enumerate((0, 1, 0)):
        data = data_module(competition, folds_csv, augmentation="medium")
        pictures.append(pixels_of(draw_batch(data, tmp_path / f"{number}.png", epoch)))
    assert np.array_equal(pictures[0], pictures[2])
    assert not np.array_equal(pictures[0], pictures[1])


def test_an_epoch_with_fewer_photographs_is_drawn_whole(
    competition: Path, folds_csv: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    drawn = count_tiles(monkeypatch)
    data = data_module(competition, folds_csv)
    draw_batch(data, tmp_path / "batch.png", n_images=1000)
    # The odd last batch is not trained on.
    assert len(drawn) == len(data.table("train")) // 4 * 4


@pytest.mark.parametrize(
    ("is_melanoma", "diagnosis", "label"),
    [
        (True, "melanoma", "melanoma"),
        (True, None, "melanoma"),
        (True, "lentigo maligna", "melanoma, lentigo maligna"),
        (False, "nevus", "target 0, nevus"),
        (False, None, "target 0"),
    ],
)
def test_a_label_says_the_target_and_what_the_diagnosis_adds(
    is_melanoma: bool, diagnosis: str | None, label: str
) -> None:
    pixels = np.zeros((4, 4, 3), dtype=np.uint8)
    assert FedPhotograph("x", is_melanoma, diagnosis, pixels).label == label


def test_a_table_with_gaps_or_without_diagnoses_is_drawn(
    competition: Path, folds_csv: Path, tmp_path: Path
) -> None:
    train = pd.read_csv(competition / "train.csv")
    train.loc[train["target"] == 0, "diagnosis"] = np.nan
    data = data_module(competition, folds_csv)
    data.setup()
    for table in (train, train.drop(columns="diagnosis")):
        known = data.table("train")[["image_name"]].merge(table, on="image_name")
        data._tables["train"] = known
        labels = {photograph.label for photograph in fed_photographs(data, 0)}
        assert labels == {"melanoma", "target 0"}


def test_a_long_text_stays_within_its_photograph(
    competition: Path, folds_csv: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    data = data_module(competition, folds_csv)
    data.setup()
    data.table("train")["diagnosis"] = "W" * 80
    picture = pixels_of(draw_batch(data, tmp_path / "batch.png", n_images=1))
    below_px = 34 + 6 + 160 + 10
    ink = np.flatnonzero((picture[below_px:] < 128).any(axis=(0, 2)))
    assert ink.min() >= 12
    assert ink.max() < 12 + 160


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"n_images": 0}, r"--n_images 0: must be at least 1"),
        ({"epoch": -1}, r"--epoch -1: must not be negative"),
        ({"path": Path("batch.jpg")}, r"--output batch.jpg: must end in .png"),
    ],
)
def test_settings_out_of_range_are_named(
    competition: Path, folds_csv: Path, settings: dict[str, object], message: str
) -> None:
    arguments = {"path": Path("batch.png"), **settings}
    with pytest.raises(ConfigError, match=message):
        draw_batch(data_module(competition, folds_csv), **arguments)  # type: ignore[arg-type]


@pytest.fixture
def show_batch(
    competition: Path, folds_csv: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Callable[..., int]:
    """The script on the tiny competition, in a folder of its own."""
    main = runpy.run_path(str(ROOT / "scripts" / "show_batch.py"))["main"]
    config = tmp_path / "mine.yaml"
    config.write_text(
        f"data: {{data_dir: {competition}, folds_csv: {folds_csv}, image_size: 16, batch_size: 4}}"
        "\nmodel: {backbone: test_resnet, weights: none}\n"
    )
    monkeypatch.chdir(tmp_path)

    def run(*arguments: str) -> int:
        code: int = main(["--config", str(config), *arguments])
        return code

    return run


def test_the_script_writes_into_the_run_folder_and_says_where(
    show_batch: Callable[..., int], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert show_batch("--fold", "1", "--n-images", "3", "--data.augmentation", "heavy") == 0
    assert capsys.readouterr().out == "runs/mine/batch.png\n"
    assert pixels_of(tmp_path / "runs/mine/batch.png").shape[1] >= 3 * 160


def test_the_script_writes_where_it_is_told(
    show_batch: Callable[..., int], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert show_batch("--output", "there/it.png", "--epoch", "3") == 0
    assert (tmp_path / "there/it.png").exists()
    assert not (tmp_path / "runs").exists()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--fold", "7"], "--fold 7: "),
        (["--fold", "all"], "--fold all: give the number of one fold"),
        (["--fold", "0,1"], "--fold 0,1: give the number of one fold"),
        (["--n_images", "0"], "--n_images 0: must be at least 1"),
        (["--data.data_dir", "nowhere"], "nowhere: no such folder"),
        (["--data.augmentation", "heavi"], "heavi"),
    ],
)
def test_the_script_ends_with_code_2_and_a_message(
    show_batch: Callable[..., int],
    capsys: pytest.CaptureFixture[str],
    arguments: list[str],
    message: str,
) -> None:
    try:
        code = show_batch(*arguments)
    except SystemExit as exit_:  # what the parser itself refuses
        code = int(exit_.code or 0)
    assert code == 2
    assert message in capsys.readouterr().err
    assert not Path("runs").exists()
