"""Patients on both sides of a split: what a score is flattered by."""

import pandas as pd

from melanoma.folds.files import EXCLUDED
from melanoma.tables import FOLD, patients_of


def leaking_patients(train: pd.DataFrame, external: pd.DataFrame | None) -> dict[int, list[str]]:
    """Find the patients whom a fold validates and is trained on.

    Args:
        train: A row per image, as `read_folds` gives it.
        external: Images of other years, as `read_external` gives them; None for none.

    Returns:
        By fold, in order, the patients in the form by which they are compared, sorted.
    """
    patients, folds = patients_of(train), train[FOLD]
    others = None if external is None else patients_of(external)
    found = {}
    for fold in sorted(folds.unique().tolist()):
        trained_on = set(patients[folds != fold])
        if external is not None and others is not None:
            trained_on |= set(others[external[EXCLUDED] != fold])
        found[fold] = sorted(set(patients[folds == fold]) & trained_on)
    return found
