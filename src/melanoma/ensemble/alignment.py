"""Bringing tables of the same images into one order."""

from pathlib import Path

import numpy as np
import numpy.typing as npt
import pandas as pd

from melanoma.errors import TableError, name_some
from melanoma.identifiers import normal_form
from melanoma.tables import IMAGE_NAME, check_image_names

Positions = npt.NDArray[np.intp]


def positions_of(
    wanted: "pd.Series[str]", table: pd.DataFrame, path: Path, wanted_by: str, remedy: str
) -> Positions:
    """Where each wanted image stands in a table that has to hold these images and no others.

    Args:
        wanted: Checked image names, without repeats.
        table: With a column image_name, not checked yet.
        path: Of the table, for messages.
        wanted_by: What wants the images, for messages.
        remedy: What to do where the images differ.

    Returns:
        Shape (len(wanted),).

    Raises:
        TableError: If a name of the table is missing, repeated or no file name, or an image is
            missing or unknown.
    """
    names = table[IMAGE_NAME]
    if np.array_equal(names.to_numpy(), wanted.to_numpy()):
        return np.arange(len(wanted))  # nearly always, and the names need no second check
    check_image_names(table, path)
    forms, wanted_forms = normal_form(names), normal_form(wanted)
    positions: Positions = pd.Index(forms).get_indexer(pd.Index(wanted_forms))
    missing = wanted[positions < 0]
    if len(missing):
        raise TableError(f"{path}: no prediction for {name_some(missing)} of {wanted_by}. {remedy}")
    unknown = names[~forms.isin(wanted_forms)]
    if len(unknown):
        raise TableError(f"{path}: {name_some(unknown)} not in {wanted_by}. {remedy}")
    return positions
