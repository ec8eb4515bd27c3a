"""From runs, or predictions made elsewhere, to one submission and what it is worth."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pandas as pd

from melanoma.ensemble.blending import Blended, MethodChoice, blend_runs, blend_submissions
from melanoma.ensemble.checks import check_submission, warn_of_columns
from melanoma.ensemble.description import describe
from melanoma.ensemble.elsewhere import (
    find_test_patients,
    read_oof_table,
    read_submissions,
    read_test_patients,
)
from melanoma.ensemble.options import Options, check_options
from melanoma.ensemble.outputs import (
    COMPARISONS_CSV,
    OOF_CSV,
    SHIFT_PNG,
    SUBMISSION_CSV,
    check_out_dir,
    write_outputs,
)
from melanoma.ensemble.review import Review, correlate_with, review_runs
from melanoma.ensemble.runs import read_runs
from melanoma.ensemble.sources import Source, join_sources, names_of
from melanoma.ensemble.text import blend_as_text, wrap
from melanoma.errors import ConfigError, name_some
from melanoma.remote.opening import local_folder
from melanoma.tables import (
    FOLD,
    IMAGE_NAME,
    OOF_COLUMNS,
    PREDICTION,
    TARGET,
    read_sample_submission,
)


@dataclass(frozen=True)
class Submission:
    """What was built.

    Attributes:
        blended: The blend, its scores, and how it compares.
        review: What was found in looking at it.
        names: Of the runs.
        folds: Their numbers; empty where nothing is known out of fold.
        oof_csv: The blend's out-of-fold predictions; None where there are none.
        submission_csv: What to hand in; None without a test set.
    """

    blended: Blended
    review: Review
    names: list[str]
    folds: list[int]
    oof_csv: Path | None
    submission_csv: Path | None

    @property
    def path(self) -> Path | None:
        """What to hand in, or the out-of-fold predictions where there is no test set."""
        return self.submission_csv or self.oof_csv

    def as_text(self) -> str:
        """What is known of it, for the terminal."""
        found = "\n".join(map(wrap, self.review.lines()))
        texts = blend_as_text(self.blended, self.names, self.folds), found
        return "\n\n".join(text for text in texts if text)


@dataclass(frozen=True)
class _Made:
    """A blend before it is written, with the tables that its predictions belong to."""

    blended: Blended
    review: Review
    names: list[str]
    folds: list[int]
    files: list[Path]
    rows: pd.DataFrame | None
    test_names: "pd.Series[str] | None"


def build_submission(
    run_dir: Sequence[Path] = (),
    oof: Sequence[Path] = (),
    submissions: Sequence[Path] = (),
    method: MethodChoice = "mean",
    weights: Sequence[float] = (),
    context: bool = False,
    data_dir: Path | None = None,
    out_dir: Path | None = None,
    previous: Path | None = None,
    allow_missing_folds: bool = False,
    overwrite: bool = False,
) -> Submission:
    """Blend the predictions of runs, say what the blend is worth, and write it.

    Args:
        run_dir: Folders that scripts/train_folds.py wrote, all their folds finished.
        oof: Tables of out-of-fold predictions made elsewhere: image_name, fold, target, prediction,
            and patient_id where it is known.
        submissions: With --oof, what the same models predict for the test images, in the same
            order; alone, submissions to blend without knowing what they are worth.
        method: mean of probabilities; rank: mean of ranks within a fold; logit: mean of logits;
            power: power mean; weighted: weights that maximise the out-of-fold AUC; stack: logistic
            regression on logits; best: compare all and choose.
        weights: Given weights for mean, rank or logit, in the order of what is blended.
        context: Correct predictions by those of the patient's other images, if that is better
            beyond noise.
        data_dir: The competition folder; by default where the run's configuration says it was.
        out_dir: Where oof.csv, submission.csv and submission.json go; by default into the folder of
            an only run, else runs/blend.
        previous: An earlier submission to correlate with.
        allow_missing_folds: Build from the folds that are finished in all runs, and say how many
            they are.
        overwrite: Replace files that another command wrote.

    Raises:
        ConfigError: If options contradict each other, or a file is in the way.
        RunError: If a folder is no run, or folds are missing.
        TableError: If a table has missing, unknown or repeated images, values that are no
            probabilities, or ids other than those of sample_submission.csv, or if runs differ in
            their images, folds or targets.
    """
    options = check_options(run_dir, oof, submissions, method, weights, context)
    options = replace(options, allow_missing_folds=allow_missing_folds)
    out_dir = out_dir or options.out_dir()
    check_out_dir(out_dir, options.as_dict(), overwrite)
    if previous is not None:
        read_submissions([previous])  # whatever is wrong with it is said before the blend is made
    if data_dir is not None:
        data_dir = local_folder(data_dir)
    blend = _blend_submissions if options.only_submissions else _blend_sources
    made = blend(options, data_dir)
    tables = _tables(made, out_dir)
    if previous is not None:
        made.review.correlation = _correlate(made, previous)
    contents = {name: _as_csv(table) for name, table in tables.items()}
    if made.review.picture is not None:
        contents[SHIFT_PNG] = made.review.picture
    description = describe(options, made.blended, made.review, made.names, made.folds, made.files)
    write_outputs(out_dir, contents, description, overwrite)
    return Submission(
        made.blended,
        made.review,
        made.names,
        made.folds,
        out_dir / OOF_CSV if OOF_CSV in tables else None,
        out_dir / SUBMISSION_CSV if SUBMISSION_CSV in tables else None,
    )


def _blend_sources(options: Options, data_dir: Path | None) -> _Made:
    sources = _read_sources(options, data_dir)
    predictions = join_sources(sources)
    known = next((source.data_dir for source in sources if source.data_dir), data_dir)
    test_names = predictions.test_names
    test_patients = (
        read_test_patients(test_names, known)
        if options.context and test_names is not None
        else find_test_patients(test_names, known)
    )
    blended = blend_runs(
        predictions, options.method, options.weights or None, options.context, test_patients
    )
    untested = [str(source.path) for source in sources if source.test is None]
    if 0 < len(untested) < len(sources):
        blended.notes.append(
            f"no submission: {name_some(untested)} has no test predictions. Give those of --oof tables "
            "with --submissions, or leave it out."
        )
    folds = np.unique(predictions.folds).tolist()
    if options.allow_missing_folds:
        of_all = " that all runs have" * (len(options.run_dir) > 1)
        blended.notes.append(f"rests on {len(folds)} finished fold(s){of_all}: {name_some(folds)}.")
    files = [file for source in sources for file in source.files]
    return _Made(
        blended,
        review_runs(predictions, test_patients),
        predictions.names,
        folds,
        files,
        predictions.table,
        predictions.test_names,
    )


def _read_sources(options: Options, data_dir: Path | None) -> list[Source]:
    sources = read_runs(options.run_dir, data_dir, options.allow_missing_folds)
    tables = [read_oof_table(path) for path in options.oof]
    if options.allow_missing_folds and sources:
        tables = [_of_folds(table, sources[0].oof[FOLD]) for table in tables]
    sources += tables
    if not options.submissions:
        return sources
    form = None if data_dir is None else read_sample_submission(data_dir)
    test_names, tests = read_submissions(options.submissions, form)
    first = len(options.run_dir)
    for place, (path, test) in enumerate(zip(options.submissions, tests), start=first):
        made = sources[place]
        sources[place] = replace(
            made, test_names=test_names, test=test[None, :], files=(*made.files, path)
        )
    return sources


def _of_folds(source: Source, folds: "pd.Series[int]") -> Source:
    """The rows of a table made elsewhere that are of the folds which runs have finished."""
    return replace(source, oof=source.oof[source.oof[FOLD].isin(folds)])


def _blend_submissions(options: Options, data_dir: Path | None) -> _Made:
    form = None if data_dir is None else read_sample_submission(data_dir)
    test_names, submissions = read_submissions(options.submissions, form)
    names = names_of(options.submissions)
    blended = blend_submissions(submissions, options.method, options.weights or None)
    warnings = warn_of_columns(dict(zip(names, submissions)), "on test images")
    files = list(options.submissions)
    return _Made(blended, Review(warnings), names, [], files, None, test_names)


def _tables(made: _Made, out_dir: Path) -> dict[str, pd.DataFrame]:
    """The tables to write, by file name."""
    blended, tables = made.blended, {}
    if made.rows is not None:
        tables[OOF_CSV] = made.rows.assign(**{PREDICTION: blended.oof})[OOF_COLUMNS]
    if made.test_names is not None:
        names = made.test_names.to_frame(IMAGE_NAME)
        tables[SUBMISSION_CSV] = names.assign(**{TARGET: blended.test})
        check_submission(tables[SUBMISSION_CSV], names, out_dir / SUBMISSION_CSV)
    if len(blended.comparisons):
        tables[COMPARISONS_CSV] = blended.comparisons
    return tables


def _correlate(made: _Made, previous: Path) -> float:
    if made.test_names is None or made.blended.test is None:
        raise ConfigError(
            "--previous needs test predictions to correlate with. Leave it out, or blend runs that "
            "all have them."
        )
    return correlate_with(previous, made.test_names, made.blended.test)


def _as_csv(table: pd.DataFrame) -> bytes:
    # Numbers in the shortest exact form, as melanoma.files writes them.
    return table.to_csv(index=False, lineterminator="\n").encode("utf-8")
