import io
import struct
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image, ImageOps, PngImagePlugin

from melanoma.errors import ImageError
from melanoma.images.decoding import UNREADABLE, decode, defect_of, open_header
from melanoma.images.reading import check_images, read_image

NOISE = Image.fromarray(np.random.default_rng(0).integers(0, 256, (36, 48, 3), dtype=np.uint8))


@pytest.mark.parametrize("mode", ["RGB", "L", "P", "RGBA", "LA", "1"])
def test_photographs_of_8_bits_are_converted_as_pillow_does(tmp_path: Path, mode: str) -> None:
    NOISE.convert(mode).save(tmp_path / "a.png")
    expected = np.asarray(NOISE.convert(mode).convert("RGB"))
    decoded = decode(tmp_path / "a.png", 8)
    assert decoded.picture.mode == "RGB"
    assert np.array_equal(np.asarray(decoded.picture), expected)


@pytest.mark.parametrize("file_format", ["PNG", "TIFF", "JPEG2000"])
def test_16_bits_are_scaled_to_8(tmp_path: Path, file_format: str) -> None:
    levels = np.linspace(0, 65_535, 36 * 48).astype(np.uint16).reshape(36, 48)
    Image.fromarray(levels).save(tmp_path / "a.jpg", file_format)
    picture = np.asarray(decode(tmp_path / "a.jpg", 8).picture)
    assert np.array_equal(picture, np.repeat(levels[:, :, None] // 256, 3, axis=2))


def test_32_bit_levels_are_taken_for_16_bits(tmp_path: Path) -> None:
    levels = np.array([[-5, 255, 256, 32_768, 65_535, 70_000]], dtype=np.int32)
    Image.fromarray(levels).save(tmp_path / "a.jpg", "TIFF")
    picture = np.asarray(decode(tmp_path / "a.jpg", 1).picture)
    assert picture[0, :, 0].tolist() == [0, 0, 1, 128, 255, 255]


@pytest.mark.parametrize("options", [{"progressive": True}, {"quality": 30}, {"subsampling": 0}])
def test_a_jpeg_is_decoded_at_the_scale_asked_for(tmp_path: Path, options: dict[str, Any]) -> None:
    Image.new("RGB", (1200, 801)).save(tmp_path / "a.jpg", **options)
    for side_px, size in {100: (150, 101), 150: (300, 201), 400: (600, 401)}.items():
        decoded = decode(tmp_path / "a.jpg", side_px)
        assert decoded.picture.size == size
        assert (decoded.width_px, decoded.height_px) == (1200, 801)


def smooth(width: int, height: int) -> Image.Image:
    return NOISE.resize((width, height), Image.Resampling.BICUBIC)


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    share=st.floats(0.1, 0.9),
    mode=st.sampled_from(["RGB", "L"]),
    subsampling=st.sampled_from([0, 2]),
    side_px=st.sampled_from([8, 64, 400]),
    turned=st.booleans(),
)
def test_a_cut_jpeg_with_an_end_mark_is_no_photograph(
    tmp_path: Path, share: float, mode: str, subsampling: int, side_px: int, turned: bool
) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6 if turned else 1
    smooth(320, 240).convert(mode).save(tmp_path / "a.jpg", subsampling=subsampling, exif=exif)
    content = (tmp_path / "a.jpg").read_bytes()
    begin = content.rindex(b"\xff\xda")
    cut = begin + 16 + int(share * (len(content) - begin - 18))
    read_image(tmp_path / "a.jpg", side_px)
    (tmp_path / "b.jpg").write_bytes(content[:cut].rstrip(b"\xff") + b"\xff\xd9")
    with pytest.raises(ImageError, match=r"b\.jpg: cannot be decoded \(its data end before"):
        read_image(tmp_path / "b.jpg", side_px)


@pytest.mark.parametrize("options", [{}, {"progressive": True}, {"subsampling": 0}])
@pytest.mark.parametrize("size", [(320, 240), (317, 233), (8, 8)])
def test_a_whole_jpeg_may_end_grey(
    tmp_path: Path, options: dict[str, Any], size: tuple[int, int]
) -> None:
    picture = smooth(*size)
    picture.paste((128, 128, 128), (0, size[1] // 2, *size))
    picture.save(tmp_path / "a.jpg", quality=95, **options)
    (tmp_path / "b.jpg").write_bytes((tmp_path / "a.jpg").read_bytes() + b"behind the end")
    Image.new("RGB", size, (128, 128, 128)).save(tmp_path / "c.jpg", **options)
    for name in ("a", "b", "c"):
        for side_px in (8, 400):
            assert read_image(tmp_path / f"{name}.jpg", side_px).shape[0] == side_px


def test_a_png_may_hold_much_text(tmp_path: Path) -> None:
    text = PngImagePlugin.PngInfo()
    text.add_text("Comment", "x" * 5_000_000, zip=True)
    NOISE.save(tmp_path / "a.png", pnginfo=text)
    check_images([tmp_path / "a.png"])
    assert np.array_equal(np.asarray(decode(tmp_path / "a.png", 8).picture), np.asarray(NOISE))


@pytest.mark.parametrize("orientation", range(1, 9))
def test_a_photograph_is_turned_as_its_camera_says(tmp_path: Path, orientation: int) -> None:
    exif = Image.Exif()
    exif[0x0112] = orientation
    NOISE.save(tmp_path / "a.jpg", exif=exif)
    decoded = decode(tmp_path / "a.jpg", 8)
    with Image.open(tmp_path / "a.jpg") as image:
        image.draft("RGB", (8, 8))
        expected = np.asarray(ImageOps.exif_transpose(image))
    assert np.array_equal(np.asarray(decoded.picture), expected)
    lies = orientation >= 5
    assert (decoded.width_px, decoded.height_px) == ((36, 48) if lies else (48, 36))


def jpeg_bytes() -> bytes:
    file = io.BytesIO()
    NOISE.save(file, "JPEG")
    return file.getvalue()


@pytest.mark.parametrize(
    ("content", "defect"),
    [
        (None, "missing"),
        (b"", "empty"),
        (b"no image", "not an image"),
        (jpeg_bytes()[:600], "truncated or damaged"),
    ],
)
def test_every_defect_is_named(tmp_path: Path, content: bytes | None, defect: str) -> None:
    path = tmp_path / "a.jpg"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(UNREADABLE) as error:
        decode(path, 8)
    assert defect_of(path, error.value) == defect


def png_header(width_px: int, height_px: int) -> bytes:
    """A PNG of a few bytes that says it is as large as this."""
    chunks = [
        (b"IHDR", struct.pack(">IIBBBBB", width_px, height_px, 1, 0, 0, 0, 0)),
        (b"IDAT", zlib.compress(bytes(1000))),
        (b"IEND", b""),
    ]
    parts = [b"\x89PNG\r\n\x1a\n"]
    for kind, content in chunks:
        checksum = struct.pack(">I", zlib.crc32(kind + content))
        parts += [struct.pack(">I", len(content)), kind, content, checksum]
    return b"".join(parts)


def test_an_image_bomb_is_refused_by_its_header(tmp_path: Path) -> None:
    path = tmp_path / "bomb.png"
    path.write_bytes(png_header(20_000, 10_001))
    message = "20000 x 10001 pixels, more than the limit of 200 megapixels"
    with pytest.raises(UNREADABLE, match=message) as error:
        decode(path, 8)
    assert defect_of(path, error.value) == f"of {message}"
    with pytest.raises(ImageError, match=rf"bomb.png: cannot be decoded \({message}\)"):
        read_image(path, 8)
    with pytest.raises(ImageError, match=f"1 of 1 images cannot be used. 1 of {message}: bomb.png"):
        check_images([path])


@pytest.mark.parametrize("size_px", [(10_000, 9_000), (16_000, 11_000), (20_000, 10_000)])
def test_the_largest_photographs_are_opened_without_a_warning(
    tmp_path: Path, size_px: tuple[int, int]
) -> None:
    path = tmp_path / "large.png"
    path.write_bytes(png_header(*size_px))
    with open_header(path) as image:  # warnings are errors here
        assert image.size == size_px


def test_postscript_is_not_run(tmp_path: Path) -> None:
    NOISE.save(tmp_path / "a.eps")
    (tmp_path / "a.eps").rename(tmp_path / "a.jpg")
    with pytest.raises(UNREADABLE) as error:
        decode(tmp_path / "a.jpg", 8)
    assert defect_of(tmp_path / "a.jpg", error.value) == "not an image"


def test_damage_of_any_kind_is_an_error_that_can_be_named(tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    path = tmp_path / "a.jpg"
    random = np.random.default_rng(0)
    n_named = 0
    for file_format in ("JPEG", "PNG"):
        file = io.BytesIO()
        NOISE.save(file, file_format, exif=exif)
        for _ in range(200):
            content = bytearray(file.getvalue())
            for place in random.integers(0, 300, 5):
                content[place] = random.integers(256)
            path.write_bytes(content)
            try:
                decode(path, 8)
            except UNREADABLE:
                n_named += 1
            except UserWarning:  # warnings are errors here; Pillow warns of broken metadata
                pass
    assert n_named > 100
