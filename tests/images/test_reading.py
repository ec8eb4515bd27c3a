from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageOps

from melanoma.errors import ConfigError, ImageError
from melanoma.images.reading import check_images, find_images, read_image


def write_image(path: Path, size: tuple[int, int] = (48, 36), mode: str = "RGB") -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    noise = np.random.default_rng(0).integers(0, 256, (size[1], size[0], 3), dtype=np.uint8)
    Image.fromarray(noise).convert(mode).save(path)
    return path


@pytest.mark.parametrize("folder", ["jpeg/train", "train", "."])
@pytest.mark.parametrize("suffix", [".jpg", ".jpeg", ".png", ".JPG"])
def test_photographs_are_found_in_each_known_layout(
    tmp_path: Path, folder: str, suffix: str
) -> None:
    expected = write_image(tmp_path / folder / f"a{suffix}")
    assert find_images(tmp_path, "train", ["a"]) == [expected]


def test_missing_photographs_are_counted_and_five_are_named(tmp_path: Path) -> None:
    write_image(tmp_path / "jpeg" / "train" / "a.jpg")
    with pytest.raises(ImageError, match=r"7 of 8 train .*: 0, 1, 2, 3, 4 \.\.\. \(7 in all\)"):
        find_images(tmp_path, "train", [*"0123456", "a"])


@pytest.mark.parametrize("files", [("a.jpg", "a.png"), ("a.JPG", "a.jpeg", "a.png")])
def test_two_files_of_one_name_are_an_error_or_a_choice(
    tmp_path: Path, files: tuple[str, ...]
) -> None:
    for name in (*files, "b.png"):
        write_image(tmp_path / "train" / name)
    with pytest.raises(ImageError, match=rf"1 of 2 .* {' or '.join(files)}\. .*--prefer-suffix"):
        find_images(tmp_path, "train", ["b", "a"])
    assert find_images(tmp_path, "train", ["b"]) == [tmp_path / "train" / "b.png"]
    for name in files:
        suffix = Path(name).suffix
        found = find_images(tmp_path, "train", ["a", "b"], prefer_suffix=suffix)
        assert [path.name for path in found] == [name, "b.png"]


def test_a_preferred_suffix_decides_nothing_where_two_files_have_it_or_none(tmp_path: Path) -> None:
    for name in ("a.jpg", "a.JPG", "b.jpg", "b.png"):
        write_image(tmp_path / name)
    for name, suffix in (("a", ".jpg"), ("b", ".jpeg")):
        with pytest.raises(ImageError, match=r"1 of 1 train images have several files"):
            find_images(tmp_path, "train", [name], prefer_suffix=suffix)
    with pytest.raises(ConfigError, match=r"--prefer-suffix \.gif: not known\. Give one of"):
        find_images(tmp_path, "train", ["a"], prefer_suffix=".gif")


def test_every_defect_is_found_and_named(tmp_path: Path) -> None:
    whole = write_image(tmp_path / "whole.jpg")
    padded = tmp_path / "padded.jpg"
    padded.write_bytes(whole.read_bytes() + b"\0" * 1000)
    empty = tmp_path / "empty.jpg"
    empty.touch()
    text = tmp_path / "text.jpg"
    text.write_text("no image")
    cut = tmp_path / "cut.jpg"
    cut.write_bytes(whole.read_bytes()[:-300])
    png = write_image(tmp_path / "png.png")
    png.write_bytes(png.read_bytes()[:-300])
    with pytest.raises(ImageError) as error:
        check_images([whole, padded, empty, text, cut, png, tmp_path / "gone.jpg"])
    message = str(error.value)
    assert "5 of 7 images cannot be used" in message
    assert "1 empty: empty.jpg" in message
    assert "1 not an image: text.jpg" in message
    assert "2 truncated or damaged: cut.jpg, png.png" in message
    assert "1 missing: gone.jpg" in message


def test_whole_photographs_pass(tmp_path: Path) -> None:
    check_images([write_image(tmp_path / "a.jpg"), write_image(tmp_path / "b.png")])


def test_a_file_with_the_bytes_that_images_csv_lists_is_not_opened(tmp_path: Path) -> None:
    paths = [write_image(tmp_path / "jpeg" / "train" / f"{name}.jpg") for name in "ab"]
    rows = [f"{path.stem},train,9,9,{path.stat().st_size},{'0' * 64}" for path in paths]
    header = "image_name,split,width,height,bytes,phash"
    (tmp_path / "images.csv").write_text("\n".join([header, *rows]) + "\n")
    damaged = paths[0].read_bytes()[:-300]
    paths[0].write_bytes(damaged + b"\0" * 300)
    check_images(paths, tmp_path)
    with pytest.raises(ImageError, match=r"1 of 2 .* 1 truncated or damaged: a.jpg"):
        check_images(paths)
    paths[0].write_bytes(damaged)
    with pytest.raises(ImageError, match=r"1 of 2 .* 1 truncated or damaged: a.jpg"):
        check_images(paths, tmp_path)


@pytest.mark.parametrize("mode", ["RGB", "L", "CMYK"])
@pytest.mark.parametrize("orientation", [1, 6])
def test_photographs_of_8_bits_are_read_as_they_always_were(
    tmp_path: Path, mode: str, orientation: int
) -> None:
    exif = Image.Exif()
    exif[0x0112] = orientation
    path = write_image(tmp_path / "a.jpg", (300, 200), mode)
    with Image.open(path) as image:
        image.save(path, exif=exif)
    with Image.open(path) as image:
        image.draft("RGB", (32, 32))
        upright = ImageOps.exif_transpose(image).convert("RGB")
        expected = upright.resize((32, 32), Image.Resampling.BICUBIC)
    assert np.array_equal(read_image(path, 32), np.asarray(expected))


def test_a_photograph_of_16_bits_is_not_white(tmp_path: Path) -> None:
    grey = np.full((20, 30), 40_000, dtype=np.uint16)
    Image.fromarray(grey).save(tmp_path / "a.png")
    assert set(read_image(tmp_path / "a.png", 8).ravel()) == {40_000 // 256}


@pytest.mark.parametrize("mode", ["RGB", "L", "CMYK"])
def test_a_photograph_is_a_square_of_rgb_bytes(tmp_path: Path, mode: str) -> None:
    pixels = read_image(write_image(tmp_path / "a.jpg", (300, 200), mode), 32)
    assert pixels.shape == (32, 32, 3)
    assert pixels.dtype == np.uint8


def test_the_scaled_decoding_is_the_full_one_nearly(tmp_path: Path) -> None:
    smooth = np.add.outer(np.arange(400), np.arange(600)).astype(np.float64)
    full = (smooth[:, :, None] / 1000 * [255, 200, 100]).astype(np.uint8)
    Image.fromarray(full).save(tmp_path / "a.jpg", quality=95)
    expected = np.asarray(Image.fromarray(full).resize((64, 64), Image.Resampling.BICUBIC))
    read = read_image(tmp_path / "a.jpg", 64)
    assert np.abs(read.astype(int) - expected.astype(int)).max() <= 6


def test_a_photograph_turned_by_its_camera_is_read_upright(tmp_path: Path) -> None:
    pixels = np.zeros((40, 60, 3), dtype=np.uint8)
    pixels[:20] = 255
    exif = Image.Exif()
    exif[0x0112] = 3  # turned by 180 degrees
    Image.fromarray(pixels).save(tmp_path / "a.png", exif=exif)
    read = read_image(tmp_path / "a.png", 8)
    assert read[0].max() == 0
    assert read[-1].min() == 255


def test_a_photograph_that_cannot_be_decoded_is_named(tmp_path: Path) -> None:
    path = write_image(tmp_path / "a.jpg", (300, 200))
    path.write_bytes(path.read_bytes()[:2000])
    with pytest.raises(ImageError, match=r"a.jpg: cannot be decoded .* copy this file again"):
        read_image(path, 32)
