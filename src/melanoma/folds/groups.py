"""Who belongs together: patients, joined where their photographs are duplicates of each other."""

from pathlib import Path

import numpy as np
import numpy.typing as npt
import pandas as pd

from melanoma.errors import TableError
from melanoma.identifiers import normal_form
from melanoma.tables import IMAGE_1, IMAGE_2, IMAGE_NAME, patients_of, read_duplicates

Groups = npt.NDArray[np.int64]


def join_groups(images: pd.DataFrame, duplicates: pd.DataFrame | None = None) -> Groups:
    """Number the groups of images that must never be on two sides of a split.

    Args:
        images: A row per image: image_name and, where known, patient_id. An image without a
            patient is a patient of its own.
        duplicates: Pairs of duplicates (image_name_1, image_name_2): their patients are joined,
            also over several pairs. Pairs of which an image is not in `images` are passed over.
            Names are compared by their normal form.

    Returns:
        Shape (n_images,), codes 0 to n_groups - 1, in the order of each group's first image name:
        they depend on neither the order of rows nor the patients' names.
    """
    patients = pd.factorize(patients_of(images))[0].astype(np.int64)
    if duplicates is not None and len(duplicates):
        patients = _joined(patients, images, duplicates)
    return _in_order_of_first_image(patients, images[IMAGE_NAME])


def dominant_group(groups: Groups) -> int | None:
    """The group that more than half of all images belong to; None if there is no such.

    >>> dominant_group(np.array([0, 1, 1, 2, 1])), dominant_group(np.array([0, 1]))
    (1, None)
    """
    sizes = np.bincount(groups)
    largest = int(sizes.argmax())
    return largest if 2 * sizes[largest] > len(groups) else None


def known_pairs(images: pd.DataFrame, duplicates: pd.DataFrame) -> pd.DataFrame:
    """The pairs of which both images are in the table, compared and given by their normal form."""
    names = normal_form(images[IMAGE_NAME])
    pairs = duplicates.assign(
        **{column: normal_form(duplicates[column]) for column in (IMAGE_1, IMAGE_2)}
    )
    return pairs[pairs[IMAGE_1].isin(names) & pairs[IMAGE_2].isin(names)]


def read_known_pairs(path: Path, images: pd.DataFrame) -> tuple[pd.DataFrame, int]:
    """Read a list of duplicates for a table of images.

    Args:
        path: A table of image_name_1 and image_name_2.
        images: A row per image: image_name.

    Returns:
        The pairs of which both images are in the table, and how many others the list has.

    Raises:
        TableError: If the list breaks its contract, or not one pair is of these images: it would be
            passed over whole, and duplicates would lie on two sides of a split.
    """
    pairs = read_duplicates(path)
    known = known_pairs(images, pairs)
    if not len(known):
        theirs, ours = pairs[IMAGE_1].iloc[0], images[IMAGE_NAME].iloc[0]
        raise TableError(
            f"{path}: not one of its {len(pairs)} pairs is of two images of the tables. It names "
            f"{theirs!r}, the tables {ours!r}. Give the names as the tables have them, without an "
            "extension."
        )
    return known, len(pairs) - len(known)


def _joined(patients: Groups, images: pd.DataFrame, duplicates: pd.DataFrame) -> Groups:
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components

    pairs = known_pairs(images, duplicates)
    patient_of = pd.Series(patients, index=normal_form(images[IMAGE_NAME]))
    edges = (patient_of[pairs[IMAGE_1]].to_numpy(), patient_of[pairs[IMAGE_2]].to_numpy())
    size = int(patients.max()) + 1
    graph = coo_array((np.ones(len(pairs), dtype=np.int8), edges), shape=(size, size))
    component: Groups = connected_components(graph, directed=False)[1].astype(np.int64)
    return component[patients]


def _in_order_of_first_image(groups: Groups, names: "pd.Series[str]") -> Groups:
    by_name = np.argsort(names.to_numpy(dtype=object), kind="stable")
    # In the order of names, each group's first appearance is its first image.
    ordered = pd.factorize(groups[by_name])[0]
    codes = np.empty(len(groups), dtype=np.int64)
    codes[by_name] = ordered
    return codes
