"""Honest predictions of whatever is fitted: each fold's by a fit that never saw it."""

from collections.abc import Callable

import numpy as np
import numpy.typing as npt

from melanoma.ensemble.context import fit_context
from melanoma.ensemble.methods import Codes, Method
from melanoma.ensemble.variants import Variants
from melanoma.metrics.checks import Floats

Rows = npt.NDArray[np.bool_]
Predict = Callable[[Floats, Rows], Floats]


def nested_blend(method: Method, features: Variants, targets: Codes, folds: Codes) -> Variants:
    """What a method's blend predicts for each row, its weights fitted on the other folds.

    Weights are fitted to the last variant, which is that of honest epochs where there are several, and
    used for all of them.

    Args:
        method: One of `METHODS`. One that fits nothing gives the same with or without nesting.
        features: Shape (n_variants, n_runs, n_rows), on the method's scale.
        targets: Shape (n_rows,), 0 or 1.
        folds: Shape (n_rows,), at least two.

    Returns:
        Shape (n_variants, n_rows), in [0, 1].
    """

    def fit(seen: Rows) -> Predict:
        blend = method.fit(features[-1][:, seen], targets[seen], folds[seen])
        return lambda variant, rows: blend(variant[:, rows])

    return _over_folds(features, folds, fit)


def nested_context(
    method: Method, features: Variants, targets: Codes, folds: Codes, patients: Codes
) -> Variants:
    """As `nested_blend`, followed by the patient's context, both fitted on the other folds.

    Args:
        method: One of `METHODS`.
        features: Shape (n_variants, n_runs, n_rows), on the method's scale.
        targets: Shape (n_rows,), 0 or 1.
        folds: Shape (n_rows,), at least two.
        patients: Shape (n_rows,).
    """

    def fit(seen: Rows) -> Predict:
        fitted_on = features[-1][:, seen]
        blend = method.fit(fitted_on, targets[seen], folds[seen])
        context = fit_context(blend(fitted_on), targets[seen], patients[seen])
        return lambda variant, rows: context(blend(variant[:, rows]), patients[rows])

    return _over_folds(features, folds, fit)


def _over_folds(features: Variants, folds: Codes, fit: Callable[[Rows], Predict]) -> Variants:
    predicted = np.empty((len(features), len(folds)))
    for fold in np.unique(folds):
        held_out = folds == fold
        predict = fit(~held_out)
        for place, variant in enumerate(features):
            predicted[place, held_out] = predict(variant, held_out)
    return predicted
