"""The diagnoses of three years' competitions, joined into one list of classes.

The 2018 and 2019 challenges label by abbreviation, the 2020 one by name, and in other granularity.
The joining is the first-placed 2020 team's (Ha, Liu & Liu, arXiv:2010.05351): solar and seborrheic
keratoses, lichenoid keratoses and lentigines are benign keratoses; what 2020 names without a
counterpart is unknown.
"""

import numpy as np
import numpy.typing as npt
import pandas as pd

from melanoma.errors import TableError, name_some
from melanoma.tables import DIAGNOSIS, IMAGE_NAME, TARGET

MELANOMA = "melanoma"
UNKNOWN = "unknown"

# The order is the order of a network's outputs; melanoma is the first.
CLASSES = (
    MELANOMA,
    "nevus",
    "basal cell carcinoma",
    "benign keratosis",
    "actinic keratosis",
    "squamous cell carcinoma",
    "dermatofibroma",
    "vascular lesion",
    UNKNOWN,
)

_SPELLINGS = {
    MELANOMA: ("mel", "melanoma metastasis", "malignant melanoma"),
    "nevus": ("nv", "melanocytic nevus", "melanocytic nevi", "naevus"),
    "basal cell carcinoma": ("bcc",),
    "benign keratosis": (
        *("bkl", "benign keratosis-like lesions", "pigmented benign keratosis"),
        *("seborrheic keratosis", "lichenoid keratosis", "solar lentigo", "lentigo nos"),
    ),
    "actinic keratosis": ("ak", "akiec", "actinic keratoses", "bowen's disease"),
    "squamous cell carcinoma": ("scc",),
    "dermatofibroma": ("df",),
    "vascular lesion": ("vasc", "vascular lesions", "vascular"),
    UNKNOWN: ("unk", "", "cafe-au-lait macule", "atypical melanocytic proliferation"),
}
CLASS_OF_SPELLING = {
    spelling: name for name, others in _SPELLINGS.items() for spelling in (name, *others)
}


def diagnosis_classes(table: pd.DataFrame, source: str) -> npt.NDArray[np.int64]:
    """The class of each image, as a position in `CLASSES`.

    Args:
        table: Columns image_name, target and diagnosis; a missing diagnosis is unknown, or melanoma
            where the target says so.
        source: Where the table is from, for messages.

    Returns:
        Shape (n_images,).

    Raises:
        TableError: If there is no such column, a diagnosis is not known (listed with counts), or
            diagnosis and target contradict each other.
    """
    if DIAGNOSIS not in table.columns:
        raise TableError(
            f"{source}: no column {DIAGNOSIS}, which --model.target diagnosis learns. "
            "Add it, or train with --model.target binary."
        )
    spelled = table[DIAGNOSIS].fillna("").str.strip().str.lower()
    names = spelled.map(CLASS_OF_SPELLING)
    if names.isna().any():
        counts = table.loc[names.isna(), DIAGNOSIS].value_counts()
        listed = [f"{name} ({count})" for name, count in counts.items()]
        raise TableError(
            f"{source}: diagnosis {name_some(listed)} is not in the map of diagnoses (docs/models.md). "
            f"Rename it to one of {', '.join(CLASSES)}."
        )
    target = table[TARGET].to_numpy() == 1
    names = names.mask(target & (names == UNKNOWN).to_numpy(), MELANOMA)
    contradicting = table.loc[target != (names == MELANOMA).to_numpy()]
    if len(contradicting):
        rows = zip(contradicting[IMAGE_NAME], contradicting[DIAGNOSIS], contradicting[TARGET])
        listed = [f"{name} ({diagnosis}, target {value})" for name, diagnosis, value in rows]
        raise TableError(
            f"{source}: diagnosis and target of {name_some(listed)} contradict each other. "
            "Target 1 is melanoma and nothing else is; correct these rows."
        )
    position = {name: place for place, name in enumerate(CLASSES)}
    return names.map(position).to_numpy().astype(np.int64)
