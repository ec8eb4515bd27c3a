"""Honest predictions of whatever is fitted: each fold's by a fit that never saw it."""

from collections.abc import Callable

import numpy as np
import numpy.typing as npt

from melanoma.ensemble.context import fit_context
from melanoma.ensemble.methods import Codes, Method
from melanoma.metrics.checks import Floats

Rows = npt.NDArray[np.bool_]


def nested_blend(method: Method, features: Floats, targets: Codes, folds: Codes) -> Floats:
    """What a method's blend predicts for each row, its weights fitted on the other folds.

    Args:
        method: One of `METHODS`. One that fits nothing gives the same with or without nesting.
        features: Shape (n_runs, n_rows), on the method's scale.
        targets: Shape (n_rows,), 0 or 1.
        folds: Shape (n_rows,), at least two.

    Returns:
        Shape (n_rows,), in [0, 1].
    """

    def fit_and_predict(seen: Rows, held_out: Rows) -> Floats:
        blend = method.fit(features[:, seen], targets[seen], folds[seen])
        return blend(features[:, held_out])

    return _over_folds(folds, fit_and_predict)


def nested_context(
    method: Method, features: Floats, targets: Codes, folds: Codes, patients: Codes
) -> Floats:
    """As `nested_blend`, followed by the patient's context, both fitted on the other folds.

    Args:
        method: One of `METHODS`.
        features: Shape (n_runs, n_rows), on the method's scale.
        targets: Shape (n_rows,), 0 or 1.
        folds: Shape (n_rows,), at least two.
        patients: Shape (n_rows,).
    """

    def fit_and_predict(seen: Rows, held_out: Rows) -> Floats:
        blend = method.fit(features[:, seen], targets[seen], folds[seen])
        context = fit_context(blend(features[:, seen]), targets[seen], patients[seen])
        return context(blend(features[:, held_out]), patients[held_out])

    return _over_folds(folds, fit_and_predict)


def _over_folds(folds: Codes, fit_and_predict: Callable[[Rows, Rows], Floats]) -> Floats:
    predicted = np.empty(len(folds))
    for fold in np.unique(folds):
        held_out = folds == fold
        predicted[held_out] = fit_and_predict(~held_out, held_out)
    return predicted
