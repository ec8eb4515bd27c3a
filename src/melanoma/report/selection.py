"""Which photographs to look at: the worst mistakes, and some that were right."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from melanoma.metrics.checks import Codes, Floats
from melanoma.tables import (
    AGE,
    DIAGNOSIS,
    FOLD,
    IMAGE_NAME,
    PATIENT_ID,
    SEX,
    SITE,
    TARGET,
)

EACH = 6
_SEED = 0
_SHOWN = {DIAGNOSIS: "diagnosis", SEX: "sex", AGE: "age", SITE: "site", PATIENT_ID: "patient"}


@dataclass(frozen=True)
class Chosen:
    """Photographs of one kind.

    Attributes:
        name: In links.
        title: Of the kind.
        lead: What they are.
        rows: Their numbers in the table of images, in the order they are shown.
    """

    name: str
    title: str
    lead: str
    rows: Sequence[int]


def choose_photographs(targets: Codes, scores: Floats, threshold: float) -> list[Chosen]:
    """Choose misses, false alarms and hits.

    Args:
        targets: Shape (n,), 0 or 1.
        scores: Shape (n,).
        threshold: From which on an image is called melanoma, for what counts as a hit.
    """
    positives, negatives = np.flatnonzero(targets == 1), np.flatnonzero(targets == 0)
    misses = positives[np.argsort(scores[positives], kind="stable")][:EACH]
    alarms = negatives[np.argsort(-scores[negatives], kind="stable")][:EACH]
    found = positives[scores[positives] >= threshold]
    found = found[~np.isin(found, misses)]
    spared = negatives[scores[negatives] < threshold]
    hits = np.r_[_draw(found, EACH - EACH // 2), _draw(spared, EACH // 2)]
    at = f"at the threshold of {threshold:.4f}"
    return [
        Chosen(
            "misses", "Most confident misses", "Melanomas with the lowest scores.", misses.tolist()
        ),
        Chosen(
            "alarms",
            "Most confident false alarms",
            "Others with the highest scores.",
            alarms.tolist(),
        ),
        Chosen(
            "hits",
            "Random hits",
            f"Melanomas and others that were told rightly {at}, drawn at random: what is usual.",
            hits.tolist(),
        ),
    ]


def facts_of(row: "pd.Series[Any]", score: float, rank: float) -> list[tuple[str, str]]:
    """What is known of an image, by name: its score first.

    Args:
        row: Of the table of images.
        score: Out of fold.
        rank: The share of images with a score that is not higher.
    """
    known = [("score", f"{score:.4f}"), ("rank", f"above {100 * rank:.1f} %")]
    known.append(("label", "melanoma" if row[TARGET] else "no melanoma"))
    known.append(("fold", str(row[FOLD])))
    for column, name in _SHOWN.items():
        if column in row.index and pd.notna(row[column]):
            value = row[column]
            text = f"{value:.0f}" if isinstance(value, float) and value.is_integer() else str(value)
            known.append((name, text))
    return known


def description_of(row: "pd.Series[Any]", score: float) -> str:
    """A photograph in words, for who cannot see it."""
    kind = "a melanoma" if row[TARGET] else "no melanoma"
    return f"Photograph {row[IMAGE_NAME]}: {kind}, score {score:.4f}"


def _draw(rows: npt.NDArray[np.int64], n: int) -> npt.NDArray[np.int64]:
    random = np.random.default_rng(_SEED)
    return rows if rows.size <= n else np.sort(random.choice(rows, n, replace=False))
