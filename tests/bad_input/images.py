"""Photographs that are missing, damaged, or something else."""

import shutil
import struct
import zlib
from functools import partial
from pathlib import Path

from bad_input.case import (
    CREATE,
    PHOTOGRAPH,
    PREPARE,
    SHOW,
    TEST_PHOTOGRAPH,
    TRAIN,
    Case,
    cut,
    holds,
    is_a_folder,
    is_gone,
)

IN_TRAIN = r"input/tiny/jpeg/train: "
IN_TEST = r"input/tiny/jpeg/test: "
AGAIN = r"TRAIN_003\.jpg\. Download or copy"


def bomb() -> bytes:
    """A PNG of a few bytes whose header promises 60,000 x 60,000 pixels."""

    def chunk(kind: bytes, content: bytes) -> bytes:
        checked = kind + content
        return struct.pack(">I", len(content)) + checked + struct.pack(">I", zlib.crc32(checked))

    header = struct.pack(">IIBBBBB", 60_000, 60_000, 8, 2, 0, 0, 0)
    body = chunk(b"IDAT", zlib.compress(bytes(1000)))
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + body + chunk(b"IEND", b"")


def has_suffix(suffix: str) -> Case:
    return Case(
        f"a photograph is {suffix}",
        TRAIN,
        rf"{IN_TRAIN}1 of 40 train images are missing: TRAIN_003\. Photographs are .*\.jpg",
        lambda: PHOTOGRAPH.rename(PHOTOGRAPH.with_suffix(suffix)),
    )


def mask_beside(path: Path) -> None:
    shutil.copy(path, path.with_suffix(".png"))


def moved(folder: Path) -> None:
    folder.rename(folder.with_name("elsewhere"))


CASES = [
    Case(
        "a photograph is missing",
        TRAIN,
        rf"{IN_TRAIN}1 of 40 train images are missing: TRAIN_003\..*download",
        is_gone(PHOTOGRAPH),
    ),
    *(
        Case(
            f"a mask is beside one of {of}",
            command,
            rf"{place}1 of \d+ .* have several files: {path.stem}\.jpg or {path.stem}\.png\. "
            r"Say .*--prefer-suffix \.jpg",
            partial(mask_beside, path),
        )
        for of, command, place, path in [
            ("training", TRAIN, IN_TRAIN, PHOTOGRAPH),
            ("test", TRAIN, IN_TEST, TEST_PHOTOGRAPH),
            ("those to prepare", PREPARE, IN_TRAIN, PHOTOGRAPH),
            ("those compared", (*CREATE, "--find-duplicates"), IN_TRAIN, PHOTOGRAPH),
        ]
    ),
    Case(
        "a suffix that is none",
        (*TRAIN, "--data.prefer_suffix=gif"),
        r"--prefer-suffix gif: not known\. Give one of \.jpg, \.jpeg, \.png",
    ),
    Case("one is empty", TRAIN, rf"{IN_TRAIN}1 of 40 .*1 empty: {AGAIN}", holds(PHOTOGRAPH)),
    Case(
        "one is cut",
        TRAIN,
        rf"{IN_TRAIN}1 of 40 .*1 truncated or damaged: {AGAIN}",
        cut(PHOTOGRAPH),
    ),
    Case(
        "one is a page of a web server",
        TRAIN,
        rf"{IN_TRAIN}1 of 40 .*1 not an image: {AGAIN}",
        holds(PHOTOGRAPH, "<html>404</html>"),
    ),
    Case("one is a folder", TRAIN, rf"{IN_TRAIN}1 of 40 .*: {AGAIN}", is_a_folder(PHOTOGRAPH)),
    Case("one is a bomb", TRAIN, rf"{IN_TRAIN}1 of 40 .*: {AGAIN}", holds(PHOTOGRAPH, bomb())),
    *map(has_suffix, (".tiff", ".dcm", ".jpg.txt")),
    Case(
        "the photographs are elsewhere",
        TRAIN,
        r"input/tiny: 40 of 40 train images are missing: TRAIN_000, .*\(40 in all\).*copy",
        lambda: moved(PHOTOGRAPH.parents[1]),
    ),
    Case(
        "a test photograph is missing",
        TRAIN,
        rf"{IN_TEST}1 of 10 test images are missing: TEST_003\..*download",
        is_gone(TEST_PHOTOGRAPH),
    ),
    Case(
        "a test photograph is cut",
        TRAIN,
        rf"{IN_TEST}1 of 10 .*1 truncated or damaged: TEST_003\.jpg\. Down",
        cut(TEST_PHOTOGRAPH),
    ),
    Case(
        "a photograph to prepare is missing",
        PREPARE,
        rf"{IN_TRAIN}1 of 40 train images are missing: TRAIN_003\..*download",
        is_gone(PHOTOGRAPH),
    ),
    Case(
        "a photograph to show is missing",
        SHOW,
        rf"{IN_TRAIN}1 of 40 train images are missing: TRAIN_003\..*download",
        is_gone(PHOTOGRAPH),
    ),
    Case(
        "copies into their originals",
        (*PREPARE, "--output-dir=input/tiny/small"),
        r"--output_dir input/tiny/small: must not be --data_dir .*Give a folder beside",
    ),
    Case(
        "copies into a folder of others",
        (*PREPARE, "--output-dir=folds"),
        r"folds: holds files that this script did not write: .*Give a new",
    ),
]
