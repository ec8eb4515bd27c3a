"""`submission.json`: what a submission was made of, and what it is worth."""

import math
import platform
from collections.abc import Iterable, Mapping
from importlib import metadata
from pathlib import Path
from typing import Any

import numpy as np

import melanoma
from melanoma.ensemble.blending import Blended
from melanoma.ensemble.options import Options
from melanoma.ensemble.review import Review
from melanoma.files import sha256_of

_PACKAGES = ("numpy", "pandas", "scipy", "scikit-learn")


def describe(
    options: Options,
    blended: Blended,
    review: Review,
    names: list[str],
    folds: list[int],
    files: Iterable[Path],
) -> dict[str, Any]:
    """All there is to know about a blend, as JSON; it depends on nothing but what it describes.

    Args:
        options: What was asked for.
        blended: What came out.
        review: What was found in looking at it.
        names: Of the runs.
        folds: In the order of each row's `fold_aucs`.
        files: That were read; their SHA-256 become `inputs`.
    """
    context, chosen = blended.context, blended.chosen
    content = {
        "options": options.as_dict(),
        "method": blended.method,
        "chosen": chosen and chosen.as_dict(),
        "notes": blended.notes,
        "runs": names,
        "weights": dict(zip(names, blended.blend.weights)),
        "intercept": blended.blend.intercept,
        "exponent": blended.blend.exponent,
        "context": context and {"weights": context.weights, "intercept": context.intercept},
        "folds": folds,
        "rows": [row.as_dict() for row in blended.rows],
        "leave_one_out": blended.without.to_dict(orient="records"),
        "variances": [parts.as_dict() for parts in blended.variances],
        "correlations": blended.correlations,
        "checks": review.as_dict(),
        "inputs": {str(path): sha256_of(path) for path in files},
        "versions": {
            "python": platform.python_version(),
            "melanoma": melanoma.__version__,
            **{package: metadata.version(package) for package in _PACKAGES},
        },
    }
    plain: dict[str, Any] = as_plain(content)
    return plain


def as_plain(value: Any) -> Any:
    """The same in what JSON knows: arrays as lists, and None for what is not a number.

    >>> as_plain({"a": np.array([0.5, np.nan]), "b": (1,)})
    {'a': [0.5, None], 'b': [1]}
    """
    if isinstance(value, Mapping):
        return {key: as_plain(held) for key, held in value.items()}
    if isinstance(value, np.ndarray | list | tuple):
        return [as_plain(held) for held in value]
    if isinstance(value, np.generic):
        return as_plain(value.item())
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value
