import io
import os
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from melanoma.errors import MelanomaError
from melanoma.images.copies import CopyJob, CopySettings, encode_copy, make_copy, read_origin
from melanoma.images.hashing import perceptual_hash, to_hex
from melanoma.images.reading import open_image, read_image
from melanoma.images.sample import lesion_of
from melanoma.images.sample_drawing import draw_lesion

SETTINGS = CopySettings(size=80, square=False, quality=90)


def photograph(path: Path, size: tuple[int, int] = (300, 200), **options: object) -> Path:
    rng = np.random.default_rng(0)
    lesion = Image.fromarray(draw_lesion(lesion_of(1, rng), 200, rng))
    lesion.resize(size).save(path, **options)  # type: ignore[arg-type]
    return path


def job(folder: Path, size: tuple[int, int] = (300, 200)) -> CopyJob:
    return CopyJob(photograph(folder / "a.jpg", size), folder / "copies" / "a.jpg")


def size_of(jpeg: bytes) -> tuple[int, int]:
    return Image.open(io.BytesIO(jpeg)).size


@pytest.mark.parametrize(
    ("size", "expected"),
    [
        ((300, 200), (120, 80)),
        ((200, 300), (80, 120)),
        ((3001, 81), (2964, 80)),
        ((80, 80), (80, 80)),
        ((79, 500), (79, 500)),
        ((3, 2), (3, 2)),
    ],
)
def test_the_shorter_side_is_as_asked_and_never_enlarged(
    tmp_path: Path, size: tuple[int, int], expected: tuple[int, int]
) -> None:
    origin, jpeg = encode_copy(photograph(tmp_path / "a.jpg", size), SETTINGS)
    assert size_of(jpeg) == expected
    assert (origin.width, origin.height) == size


@pytest.mark.parametrize("size", [(300, 200), (50, 40)])
def test_a_square_is_what_read_image_makes_of_the_photograph(
    tmp_path: Path, size: tuple[int, int]
) -> None:
    path = photograph(tmp_path / "a.jpg", size)
    (tmp_path / "copy.jpg").write_bytes(encode_copy(path, CopySettings(64, True, 100))[1])
    copy = read_image(tmp_path / "copy.jpg", 64).astype(int)
    assert np.abs(copy - read_image(path, 64)).mean() < 3


def test_a_photograph_lying_on_its_side_gets_an_upright_copy(tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    path = photograph(tmp_path / "a.jpg", exif=exif, comment=b"a camera's own")
    origin, jpeg = encode_copy(path, SETTINGS)
    assert (origin.width, origin.height) == (200, 300)
    assert size_of(jpeg) == (80, 120)
    assert not Image.open(io.BytesIO(jpeg)).getexif()


@pytest.mark.parametrize("size", [200, 64, 16])
def test_the_hash_is_the_photographs_not_the_copys(tmp_path: Path, size: int) -> None:
    path = photograph(tmp_path / "a.jpg")
    origin, _ = encode_copy(path, CopySettings(size, False, 1))
    bits = bin(int(origin.phash, 16) ^ int(to_hex(perceptual_hash(open_image(path, 64))), 16))
    assert bits.count("1") <= 20


def test_a_higher_quality_takes_more_bytes(tmp_path: Path) -> None:
    path = photograph(tmp_path / "a.jpg")
    low, high = (len(encode_copy(path, CopySettings(80, False, q))[1]) for q in (50, 95))
    assert low < high


def test_a_copy_knows_its_origin(tmp_path: Path) -> None:
    made = job(tmp_path)
    result = make_copy(made, SETTINGS)
    assert result.is_new
    assert result.n_bytes == made.target.stat().st_size
    assert result.origin == read_origin(made.target)
    assert result.origin is not None
    assert result.origin.source_bytes == made.source.stat().st_size


@pytest.mark.parametrize("has_old_time", [False, True])
def test_a_photograph_that_was_replaced_by_as_many_bytes_is_copied_again(
    tmp_path: Path, has_old_time: bool
) -> None:
    made = job(tmp_path)
    first = make_copy(made, SETTINGS)
    assert first.origin is not None
    content = made.source.read_bytes()
    half = len(content) // 2
    other = content[:half] + bytes([content[half] ^ 1]) + content[half + 1 :]
    status = made.source.stat()
    made.source.write_bytes(other)
    if has_old_time:
        os.utime(made.source, ns=(status.st_atime_ns, status.st_mtime_ns))
    second = make_copy(made, SETTINGS)
    assert second.is_new
    assert second.origin is not None
    assert second.origin.source_sha256 != first.origin.source_sha256
    # The same content, put there again, is the same photograph.
    made.source.write_bytes(other)
    assert not make_copy(made, SETTINGS).is_new


def test_a_finished_copy_is_left_as_it_is(tmp_path: Path) -> None:
    made = job(tmp_path)
    first = make_copy(made, SETTINGS)
    written = made.target.stat().st_mtime_ns
    again = make_copy(made, SETTINGS)
    assert made.target.stat().st_mtime_ns == written
    assert not again.is_new
    assert (again.origin, again.n_bytes) == (first.origin, first.n_bytes)


def test_a_copy_of_another_photograph_is_made_again(tmp_path: Path) -> None:
    make_copy(job(tmp_path), SETTINGS)
    again = make_copy(job(tmp_path, (200, 200)), SETTINGS)
    assert again.is_new
    assert size_of((tmp_path / "copies" / "a.jpg").read_bytes()) == (80, 80)


@pytest.mark.parametrize("other", [(81, False, 90), (80, True, 90), (80, False, 91)])
def test_a_copy_made_with_other_settings_is_made_again(
    tmp_path: Path, other: tuple[int, bool, int]
) -> None:
    make_copy(job(tmp_path), SETTINGS)
    assert make_copy(job(tmp_path), CopySettings(*other)).is_new


@pytest.mark.parametrize("kept", [0, 500, -2])
def test_half_a_copy_is_never_taken_for_done(tmp_path: Path, kept: int) -> None:
    made = job(tmp_path)
    make_copy(made, SETTINGS)
    whole = made.target.read_bytes()
    made.target.write_bytes(whole[:kept])
    assert read_origin(made.target) is None
    assert make_copy(made, SETTINGS).is_new
    assert made.target.read_bytes() == whole


@pytest.mark.parametrize(
    "comment", [b"", b"{", b"7", b"null", b"[]", b'"settings"', b"{}", b'{"settings": 1}', b"\xff"]
)
def test_somebody_elses_comment_is_no_origin(tmp_path: Path, comment: bytes) -> None:
    assert read_origin(photograph(tmp_path / "a.jpg", comment=comment)) is None


def test_a_png_is_no_copy(tmp_path: Path) -> None:
    assert read_origin(photograph(tmp_path / "a.png")) is None


def test_a_broken_photograph_is_named_and_has_no_copy(tmp_path: Path) -> None:
    made = job(tmp_path)
    made.source.write_bytes(made.source.read_bytes()[:700])
    assert make_copy(made, SETTINGS).defect == "truncated or damaged"
    assert not made.target.exists()


def test_a_copy_that_cannot_be_written_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "copies").write_text("in the way")
    with pytest.raises(MelanomaError, match=r"copies/a.jpg cannot be written"):
        make_copy(job(tmp_path), SETTINGS)
