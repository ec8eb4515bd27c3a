"""Blending runs, with what the blend is worth: from aligned predictions to a result, no files."""

from dataclasses import dataclass, field
from typing import Literal

import numpy as np
import numpy.typing as npt
import pandas as pd

from melanoma.ensemble.choice import as_text, caution, choose_method
from melanoma.ensemble.comparison import compare_all, leave_one_out
from melanoma.ensemble.context import Context, fit_context
from melanoma.ensemble.methods import METHODS, Blend, Method, MethodName
from melanoma.ensemble.nested import nested_variants
from melanoma.ensemble.predictions import Predictions
from melanoma.ensemble.repeats import VarianceParts, split_variances
from melanoma.ensemble.table import RUN, Row, Scoreboard
from melanoma.ensemble.variants import (
    VariantBootstrap,
    Variants,
    averages_views,
    honest_where_known,
)
from melanoma.errors import ConfigError, name_some
from melanoma.metrics import PatientBootstrap, spearman_matrix
from melanoma.metrics.checks import Floats

MethodChoice = Literal[MethodName, "best"]
WITH_CONTEXT = " + context"


@dataclass
class Blended:
    """A blend of runs and what is known about it.

    Attributes:
        method: That made it.
        blend: The weights, fitted on all folds.
        test: Shape (n_test,), in [0, 1]; None without a test set.
        correlations: Spearman's, of the runs' predictions: out of fold where there are any.
        oof: Shape (n_rows,), in [0, 1], nested where something is fitted; None for submissions made
            elsewhere, which have no scores either.
        shown: Likewise, what curves are drawn of: at the honest epochs where one view is predicted.
        rows: The table of scores, runs first.
        chosen: The row of this blend.
        notes: The reason of the choice, and what became of the context; a line each.
        context: The correction by the patient's other images, where it is applied.
        comparisons: As `compare_all` gives them.
        without: As `leave_one_out` gives it; empty for one run.
        variances: Parts of the variance of each recipe that several runs repeat.
    """

    method: str
    blend: Blend
    test: Floats | None
    correlations: Floats
    oof: Floats | None = None
    shown: Floats | None = None
    rows: list[Row] = field(default_factory=list)
    chosen: Row | None = None
    notes: list[str] = field(default_factory=list)
    context: Context | None = None
    comparisons: pd.DataFrame = field(default_factory=pd.DataFrame)
    without: pd.DataFrame = field(default_factory=pd.DataFrame)
    variances: list[VarianceParts] = field(default_factory=list)


@dataclass(frozen=True)
class _Candidate:
    method: Method
    features: Variants  # (n_variants, n_runs, n_rows)
    row: Row


def blend_runs(
    predictions: Predictions,
    method: MethodChoice = "mean",
    weights: npt.ArrayLike | None = None,
    context: bool = False,
    test_patients: npt.ArrayLike | None = None,
    n_draws: int = 1000,
    seed: int = 0,
) -> Blended:
    """Blend runs, score every run and method, and say what the blend is worth.

    Args:
        predictions: Of the runs; both classes in every fold.
        method: Of the blend; `best` compares all and chooses. The mean is always scored beside.
        weights: Of the runs, for a method that fits none.
        context: Try a correction by the patient's other images; it is applied if it is better
            beyond noise.
        test_patients: Whom the test images are of, shape (n_test,); the context asks for it.
        n_draws: Of the bootstrap over patients.
        seed: Of the bootstrap.

    Raises:
        ConfigError: If what fits is to be nested in a single fold.
        ValueError: If weights are given to a method that fits its own.
    """
    targets, folds, patients = predictions.targets, predictions.folds, predictions.patients
    bootstrap = VariantBootstrap(PatientBootstrap(targets, patients, n_draws, seed))
    board = Scoreboard(targets, folds, bootstrap)
    for place, name in enumerate(predictions.names):
        flattered = name in predictions.flattered
        own = predictions.own_folds[place]
        board.add(predictions.variants[:, place], name, own, is_flattered=flattered)
    candidates = [
        _score_method(METHODS[name].with_weights(weights), board, predictions)
        for name in methods_to_score(method, predictions, context)
    ]
    taken, notes = _take(candidates, method, board)
    final = taken.method.fit(taken.features[-1], targets, folds)
    test = final(taken.method.on_test(predictions.test)) if predictions.test else None
    blended = Blended(
        taken.method.name,
        final,
        test,
        spearman_matrix(predictions.oof),
        board.predictions[taken.row.name][0],
        honest_where_known(board.predictions[taken.row.name]),
        board.rows,
        taken.row,
        notes,
    )
    blended.notes += _notes_on_epochs(predictions, taken.row)
    blended.variances = split_variances(predictions.names, predictions.repeats, board)
    if context:
        _try_context(blended, taken, board, patients, test_patients)
    blended.comparisons = compare_all(board.predictions, targets, bootstrap)
    if len(predictions.names) > 1:
        blended.without = leave_one_out(
            taken.method, predictions.names, taken.features, targets, folds, bootstrap
        )
    return blended


def blend_submissions(
    submissions: Floats, method: str = "mean", weights: npt.ArrayLike | None = None
) -> Blended:
    """Blend predictions of test images of which nothing is known out of fold.

    Args:
        submissions: Shape (n_models, n_test), in [0, 1].
        method: One that fits nothing: mean, rank or logit.
        weights: Shape (n_models,), from 0; by default equal.
    """
    used = METHODS[method].with_weights(weights)
    blend = used.blend(len(submissions))
    test = blend(used.on_test(list(submissions[:, None, :])))
    return Blended(used.name, blend, test, spearman_matrix(submissions))


def methods_to_score(
    method: MethodChoice, predictions: Predictions, context: bool = False
) -> list[str]:
    """The methods that a choice compares, the simplest first.

    Raises:
        ConfigError: If one of them is fitted, and all predictions are of one fold.
    """
    alone = len(predictions.names) == 1
    names = list(METHODS) if method == "best" and not alone else ["mean", method]
    names = [name for name in METHODS if name in names]
    fitted = [name for name in names if METHODS[name].fits] + ["--context"] * context
    if fitted and len(np.unique(predictions.folds)) < 2:
        raise ConfigError(
            f"{', '.join(fitted)}: fitted on all folds but one and scored on that one, which takes "
            "two folds or more. Choose --method mean, rank or logit."
        )
    return names


def _score_method(method: Method, board: Scoreboard, predictions: Predictions) -> _Candidate:
    own = predictions.own_folds
    features = np.array([method.scale(runs, own) for runs in predictions.variants])
    if method.name == "mean" and len(predictions.names) == 1:
        return _Candidate(method, features, board.rows[0])
    in_sample = None
    if method.fits:
        fitted = method.fit(features[-1], board.targets, board.folds)
        in_sample = np.array([fitted(variant) for variant in features])
    row = board.add(
        nested_variants(method, features, board.targets, board.folds),
        method.name,
        method=method.name,
        nested=method.fits,
        in_sample=in_sample,
        probabilities=method.probabilities,
        is_flattered=bool(predictions.flattered),
    )
    return _Candidate(method, features, row)


def _take(
    candidates: list[_Candidate], method: MethodChoice, board: Scoreboard
) -> tuple[_Candidate, list[str]]:
    if method != "best":
        taken = next(each for each in candidates if each.method.name == method)
        notes = []
    elif len(candidates) == 1:
        taken, notes = candidates[0], ["best: one run alone, there is nothing to choose."]
    else:
        rows = [each.row for each in candidates]
        arguments = board.predictions, board.targets, board.folds, board.bootstrap
        choice = choose_method(rows, *arguments)
        taken, notes = candidates[rows.index(choice.row)], [f"best: {choice.why}"]
    runs = [row for row in board.rows if row.method == RUN]
    return taken, notes + caution(taken.row, runs, board.predictions, board.bootstrap)


def _notes_on_epochs(predictions: Predictions, row: Row) -> list[str]:
    """How the choice of epochs has been dealt with; nothing where no run chooses any."""
    notes = []
    if row.own_epoch_auc is not None:
        several_views = averages_views(predictions.variants)
        estimated = " The optimism is that of one view, as an estimate for several." * several_views
        notes.append(
            "epochs: each fold is scored at the epoch that the other folds choose. With each fold at "
            f"its own best epoch the AUC of {row.name} is {row.own_epoch_auc:.4f}, which flatters."
            f"{estimated}"
        )
    if predictions.flattered:
        notes.append(
            f"flattering: {name_some(predictions.flattered)} predicts from the epoch that scores best "
            "on the very rows which are scored here. The scores are too high by an unknown amount: "
            "the epochs of three finished folds are needed to correct them (epochs.npz). Train with "
            "--predict-from last, or finish all folds."
        )
    return notes


def _try_context(
    blended: Blended,
    taken: _Candidate,
    board: Scoreboard,
    patients: npt.NDArray[np.int64],
    test_patients: npt.ArrayLike | None,
) -> None:
    """Score the blend with its context, and put it in place of the blend if it is better."""
    base = taken.row
    arrays = taken.features, board.targets, board.folds
    context = fit_context(blended.blend(taken.features[-1]), board.targets, patients)
    corrected = nested_variants(taken.method, *arrays, patients)
    row = board.add(
        corrected,
        base.name + WITH_CONTEXT,
        method=base.method + WITH_CONTEXT,
        nested=True,
        in_sample=np.array([context(blended.blend(v), patients) for v in taken.features]),
        is_flattered=base.is_flattered,
    )
    change = board.bootstrap.difference(corrected, board.predictions[base.name])
    if change.low <= 0:
        blended.notes.append(f"context: not applied, no better beyond noise ({as_text(change)}).")
        return
    blended.notes.append(f"context: applied, better beyond noise ({as_text(change)}).")
    blended.context, blended.chosen = context, row
    blended.oof, blended.shown = corrected[0], honest_where_known(corrected)
    if blended.test is not None:
        blended.test = context(blended.test, np.asarray(test_patients))
