from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from melanoma.epoch_predictions import (
    EpochPredictions,
    read_epoch_predictions,
    write_epoch_predictions,
)
from melanoma.errors import RunError

predictions = arrays(
    np.float32,
    st.tuples(st.integers(0, 5), st.integers(0, 9)),
    elements=st.floats(0, 1, width=32) | st.just(np.nan),
)


@given(predictions)
def test_what_is_written_is_read(
    tmp_path_factory: pytest.TempPathFactory, prediction: npt.NDArray[np.float32]
) -> None:
    path = tmp_path_factory.mktemp("epochs") / "epochs.npz"
    numbers = np.arange(len(prediction))
    write_epoch_predictions(path, EpochPredictions(numbers, 10 * numbers, prediction))
    first = path.read_bytes()
    kept = read_epoch_predictions(path)
    assert np.array_equal(kept.prediction, prediction, equal_nan=True)
    assert kept.epoch.tolist() == numbers.tolist()
    assert kept.step.tolist() == (10 * numbers).tolist()
    write_epoch_predictions(path, kept)
    assert path.read_bytes() == first


@pytest.mark.parametrize("damage", ["missing", "empty", "text", "cut", "shapes", "names"])
def test_a_damaged_file_is_one_message(tmp_path: Path, damage: str) -> None:
    path = tmp_path / "epochs.npz"
    numbers = np.arange(3)
    write_epoch_predictions(path, EpochPredictions(numbers, numbers, np.zeros((3, 4), np.float32)))
    if damage == "missing":
        path.unlink()
    elif damage == "shapes":
        np.savez(path, epoch=numbers, step=numbers, prediction=np.zeros(3))
    elif damage == "names":
        np.savez(path, epoch=numbers)
    else:
        path.write_bytes({"empty": b"", "text": b"text"}.get(damage, path.read_bytes()[:100]))
    with pytest.raises(RunError, match=r"epochs\.npz: cannot be read .* again with --overwrite"):
        read_epoch_predictions(path)
