"""Blending predictions: pure functions of arrays."""

import numpy as np
import numpy.typing as npt


def mean_blend(predictions: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """The mean over models of the probabilities they give each image.

    Args:
        predictions: Shape (n_models, n_images), in [0, 1].

    Returns:
        Shape (n_images,), in [0, 1].

    >>> mean_blend(np.array([[0.25, 1.0], [0.75, 0.5]])).tolist()
    [0.5, 0.75]
    """
    # Rounding may lift a mean of ones above one.
    blended: npt.NDArray[np.float64] = np.clip(predictions.mean(axis=0), 0.0, 1.0)
    return blended
