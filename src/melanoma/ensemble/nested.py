"""Honest predictions of whatever is fitted: each fold's by a fit that never saw it."""

import numpy as np

from melanoma.ensemble.context import fit_context
from melanoma.ensemble.methods import Codes, Method
from melanoma.ensemble.variants import Variants
from melanoma.metrics.checks import Floats


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
    predicted: Floats = nested_variants(method, features[None], targets, folds)[0]
    return predicted


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
    predicted: Floats = nested_variants(method, features[None], targets, folds, patients)[0]
    return predicted


def nested_variants(
    method: Method,
    features: Variants,
    targets: Codes,
    folds: Codes,
    patients: Codes | None = None,
) -> Variants:
    """Blend several variants of the same runs with the same nested weights.

    Weights are fitted to the last variant, the predictions at honest epochs.

    Args:
        method: One of `METHODS`.
        features: Shape (n_variants, n_runs, n_rows), on the method's scale.
        targets: Shape (n_rows,), 0 or 1.
        folds: Shape (n_rows,), at least two.
        patients: Shape (n_rows,), where the blend is followed by the patient's context.

    Returns:
        Shape (n_variants, n_rows), in [0, 1].
    """
    predicted = np.empty((len(features), len(folds)))
    for fold in np.unique(folds):
        held_out = folds == fold
        seen, fitted_on = ~held_out, features[-1][:, ~held_out]
        blend = method.fit(fitted_on, targets[seen], folds[seen])
        blended = [blend(variant[:, held_out]) for variant in features]
        if patients is not None:
            context = fit_context(blend(fitted_on), targets[seen], patients[seen])
            blended = [context(values, patients[held_out]) for values in blended]
        predicted[:, held_out] = blended
    return predicted
