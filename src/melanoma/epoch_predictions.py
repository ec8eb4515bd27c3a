"""`epochs.npz`: the validation predictions of every epoch of a fold.

They show which epoch the other folds would have chosen, and so how much an epoch that was chosen by
its own validation rows flatters the score.
"""

import zipfile
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path

import numpy as np
import numpy.typing as npt

from melanoma.errors import RunError
from melanoma.files import write_atomically

_NAMES = ("epoch", "step", "prediction")


@dataclass(frozen=True)
class EpochPredictions:
    """Predictions of a fold's validation images after each validation, from one view of each image.

    Attributes:
        epoch: Shape (n_validations,), int64, from 0. An epoch may have several validations.
        step: Shape (n_validations,), int64: optimiser steps done before the validation.
        prediction: Shape (n_validations, n_images), float32 in [0, 1], the images in the order of
            the fold's `oof.csv`; nan for images that a limited validation left out.
    """

    epoch: npt.NDArray[np.int64]
    step: npt.NDArray[np.int64]
    prediction: npt.NDArray[np.float32]


def write_epoch_predictions(path: Path, kept: EpochPredictions) -> Path:
    """Write `epochs.npz` atomically; equal predictions give equal bytes.

    Raises:
        MelanomaError: If the file cannot be written.
    """
    arrays = {name: getattr(kept, name) for name in _NAMES}

    def write(temporary: Path) -> None:
        with temporary.open("wb") as file:
            np.savez(file, **arrays)

    return write_atomically(path, write, sum(array.nbytes for array in arrays.values()))


def read_epoch_predictions(path: Path) -> EpochPredictions:
    """Read `epochs.npz`.

    Raises:
        RunError: If the file is missing, damaged, or holds arrays of other shapes.
    """
    try:
        with np.load(BytesIO(path.read_bytes())) as content:
            epoch, step, prediction = (content[name] for name in _NAMES)
        if not epoch.shape == step.shape == prediction.shape[:1] or prediction.ndim != 2:
            raise ValueError(f"arrays of shapes {epoch.shape}, {step.shape}, {prediction.shape}")
    except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile) as error:
        raise RunError(
            f"{path}: cannot be read as predictions of epochs ({error}). Train that fold again with "
            "--overwrite."
        ) from error
    return EpochPredictions(epoch, step, prediction)
