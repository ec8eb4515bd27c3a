"""The embedded sample: a small folder shaped like the competition's, drawn by code.

It lets `make demo` and the tests run end to end without a download. The lesions are drawings: a
score on them says that the pipeline works, and nothing about skin.
"""

from pathlib import Path
from tempfile import TemporaryDirectory

import cv2
import numpy as np
import pandas as pd

from melanoma.errors import ConfigError, MelanomaError
from melanoma.images.sample_drawing import Lesion, draw_lesion
from melanoma.images.sample_patients import sample_table
from melanoma.tables import (
    BENIGN_MALIGNANT,
    DIAGNOSIS,
    IMAGE_NAME,
    TARGET,
    sample_submission_csv,
    test_csv,
    train_csv,
)

JPEG_QUALITY = 90

# Mean and deviation of each cue, benign first. The classes lie 0.7 to 1.6 deviations apart, so that
# no cue decides: the best one, darkness, has an AUC of 0.87, all together 0.98. A resnet10t from
# scratch at 64 px, 15 epochs, reaches 0.88 out of fold. The shape cues lie closest because such a
# network hardly sees them.
CUES = {
    "asymmetry": ((0.28, 0.17), (0.40, 0.18)),
    "border": ((0.28, 0.17), (0.40, 0.18)),
    "n_colours": ((1.9, 0.8), (3.0, 1.1)),
    "darkness": ((0.29, 0.16), (0.55, 0.17)),
    "diameter": ((0.39, 0.10), (0.56, 0.13)),
}
CUE_RANGES = {
    "asymmetry": (0.0, 1.0),
    "border": (0.0, 1.0),
    "n_colours": (1.0, 6.0),
    "darkness": (0.0, 1.0),
    "diameter": (0.18, 0.95),
}
# Share of lesions with a blue-white veil, benign first.
VEIL_SHARES = (0.05, 0.40)

# Keeps the pictures' random streams apart from the patients', which use 0 in this place.
PICTURE_STREAM = 1


def make_sample(
    output_dir: Path,
    n_train: int = 400,
    n_test: int = 100,
    image_size_px: int = 192,
    seed: int = 0,
) -> Path:
    """Write train.csv, test.csv, sample_submission.csv and the pictures under jpeg/.

    A picture depends only on the seed, its name and image_size_px, so that it stays the same when
    n_train or n_test changes. The folder appears under its name only when it is complete.

    Args:
        output_dir: Folder to make; must not exist.
        n_train: Number of training pictures, at least 1; a fifth show melanomas.
        n_test: Number of test pictures, at least 1.
        image_size_px: Height of the pictures, at least 1; the width is 4/3 of it.
        seed: Non-negative seed; another one makes another sample.

    Returns:
        output_dir.

    Raises:
        ConfigError: If a number is too small.
        MelanomaError: If output_dir exists already.
    """
    least = {"n_train": (n_train, 1), "n_test": (n_test, 1)}
    least |= {"image_size_px": (image_size_px, 1), "seed": (seed, 0)}
    for name, (given, smallest) in least.items():
        if given < smallest:
            raise ConfigError(f"--{name} {given}: must be at least {smallest}.")
    if output_dir.exists():
        raise MelanomaError(
            f"the folder for the sample exists already: {output_dir}. "
            "Remove it, or name another folder."
        )
    output_dir.parent.mkdir(parents=True, exist_ok=True)
    with TemporaryDirectory(prefix=f".{output_dir.name}-", dir=output_dir.parent) as unfinished:
        # A folder inside, because the temporary one itself is closed to other users.
        folder = Path(unfinished) / output_dir.name
        (folder / "jpeg").mkdir(parents=True)
        train = sample_table(n_train, "train", seed)
        test = sample_table(n_test, "test", seed)
        _write_tables(folder, train, test)
        for name, table in (("train", train), ("test", test)):
            _write_pictures(folder / "jpeg" / name, table, image_size_px, seed)
        folder.rename(output_dir)
    return output_dir


def lesion_of(target: int, rng: np.random.Generator) -> Lesion:
    """Draw the cues of one lesion from its class, each independently of the others.

    Args:
        target: 1 for a melanoma, 0 for a benign lesion.
        rng: Source of the cues.
    """
    cues = {
        name: float(np.clip(rng.normal(*by_class[target]), *CUE_RANGES[name]))
        for name, by_class in CUES.items()
    }
    has_veil = rng.random() < VEIL_SHARES[target]
    return Lesion(
        asymmetry=cues["asymmetry"],
        border=cues["border"],
        n_colours=round(cues["n_colours"]),
        veil=float(rng.uniform(0.5, 0.95)) if has_veil else 0.0,
        darkness=cues["darkness"],
        diameter=cues["diameter"],
    )


def picture_rng(image_name: str, seed: int) -> np.random.Generator:
    """Make the generator of one picture, which is its own whatever else the sample holds."""
    number = int(image_name.removeprefix("SAMPLE_"))
    return np.random.default_rng([seed, PICTURE_STREAM, number])


def _write_tables(folder: Path, train: pd.DataFrame, test: pd.DataFrame) -> None:
    train.to_csv(train_csv(folder), index=False)
    known = test.drop(columns=[DIAGNOSIS, BENIGN_MALIGNANT, TARGET])
    known.to_csv(test_csv(folder), index=False)
    form = test[[IMAGE_NAME]].assign(**{TARGET: 0})
    form.to_csv(sample_submission_csv(folder), index=False)


def _write_pictures(folder: Path, table: pd.DataFrame, height_px: int, seed: int) -> None:
    folder.mkdir()
    for image_name, target in zip(table[IMAGE_NAME], table[TARGET], strict=True):
        rng = picture_rng(image_name, seed)
        picture = draw_lesion(lesion_of(target, rng), height_px, rng)
        path = folder / f"{image_name}.jpg"
        blue_green_red = np.ascontiguousarray(picture[..., ::-1])
        # Not imwrite, which says only by its result that a file could not be written.
        _, jpeg = cv2.imencode(".jpg", blue_green_red, [cv2.IMWRITE_JPEG_QUALITY, JPEG_QUALITY])
        path.write_bytes(jpeg.tobytes())
