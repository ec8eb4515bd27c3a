"""Several runs' predictions of the same images, side by side."""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import pandas as pd

from melanoma.ensemble.methods import Codes
from melanoma.ensemble.repeats import Repeat
from melanoma.ensemble.variants import Variants
from melanoma.metrics.checks import Floats
from melanoma.tables import FOLD, TARGET, patients_of


@dataclass(frozen=True)
class Predictions:
    """What is blended.

    Attributes:
        names: Of the runs, all different.
        table: A row per image that was predicted out of fold: image_name, patient_id, fold, target.
        oof: Shape (n_runs, n_rows), in [0, 1]: by the network that never saw the image's fold.
        test_names: Of the test images, shape (n_test,); None without a test set.
        test: Per run, shape (n_networks, n_test): by the network of each fold, or one line of what
            is already averaged. Empty without a test set.
        own: Shape (n_runs, n_rows): from one view at the epoch that each fold has chosen for itself,
            where a run chooses. The predictions of other runs are as in `oof`. None where no run
            chooses.
        honest: Likewise at the epoch that the other folds choose.
        flattered: Names of the runs that choose epochs by the rows they are scored on, without a
            correction.
        folds_of_runs: Shape (n_runs, n_rows), where runs have folds of their own; by default those of
            the table.
        repeats: By run, what tells repeats of one recipe; empty where nothing is known of it.
    """

    names: list[str]
    table: pd.DataFrame
    oof: Floats
    test_names: "pd.Series[str] | None" = None
    test: tuple[Floats, ...] = ()
    own: Floats | None = None
    honest: Floats | None = None
    flattered: tuple[str, ...] = ()
    folds_of_runs: Codes | None = None
    repeats: tuple[Repeat | None, ...] = ()

    @cached_property
    def variants(self) -> Variants:
        """Shape (1 or 3, n_runs, n_rows): `oof` alone, or `oof`, `own` and `honest`."""
        if self.own is None or self.honest is None:
            return self.oof[None]
        return np.array([self.oof, self.own, self.honest])

    @cached_property
    def targets(self) -> Codes:
        """Shape (n_rows,), 0 or 1."""
        return self.table[TARGET].to_numpy(dtype=np.int64)

    @cached_property
    def folds(self) -> Codes:
        """Shape (n_rows,)."""
        return self.table[FOLD].to_numpy(dtype=np.int64)

    @cached_property
    def own_folds(self) -> Codes:
        """Shape (n_runs, n_rows), by which networks each run has predicted each row."""
        given = self.folds if self.folds_of_runs is None else self.folds_of_runs
        return np.broadcast_to(given, self.oof.shape)

    @cached_property
    def patients(self) -> Codes:
        """Shape (n_rows,), numbered; an image without a patient is a patient of its own."""
        return pd.factorize(patients_of(self.table), sort=True)[0].astype(np.int64)
