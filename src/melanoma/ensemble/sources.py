"""Where predictions come from, and joining several sources of the same images."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pandas as pd

from melanoma.ensemble.alignment import positions_of
from melanoma.ensemble.epochs import HONEST_EPOCH, OWN_EPOCH, EpochChoice
from melanoma.ensemble.methods import METHODS
from melanoma.ensemble.predictions import Predictions
from melanoma.ensemble.repeats import Repeat
from melanoma.ensemble.table import RUN
from melanoma.errors import ConfigError, TableError, name_some
from melanoma.identifiers import normal_form
from melanoma.metrics.checks import Floats
from melanoma.tables import FOLD, IMAGE_NAME, PATIENT_ID, PREDICTION, TARGET

_REMEDY = "Blend only what was made on the same train.csv and folds, or leave it out."


@dataclass(frozen=True)
class Source:
    """The predictions of one run, or of one model made elsewhere.

    Attributes:
        path: The run folder or the table, as the user gave it.
        oof: The columns of `oof.csv`; with those of `melanoma.ensemble.epochs` where the run chooses
            epochs.
        test_names: Of the test images; None without a test set.
        test: Shape (n_networks, n_test), in [0, 1]; None without a test set.
        files: What was read.
        data_dir: The competition folder, where it is known.
        epochs: By fold, the epochs of a run that chooses them.
        is_flattered: Whether the run chooses epochs, and its score cannot be corrected for that.
        repeat: The run as a repeat of its recipe; None for a model made elsewhere.
    """

    path: Path
    oof: pd.DataFrame
    test_names: "pd.Series[str] | None" = None
    test: Floats | None = None
    files: tuple[Path, ...] = ()
    data_dir: Path | None = None
    epochs: Mapping[int, EpochChoice] = field(default_factory=dict)
    is_flattered: bool = False
    repeat: Repeat | None = None


def join_sources(sources: Sequence[Source]) -> Predictions:
    """Put the predictions of several sources side by side, in the order of the first.

    Runs on different columns of one fold file, repeats of a cross-validation, have folds of their own;
    the table has those of the first. Where one source has no test predictions, there are none of the
    blend. Whose photograph an image is comes from whichever source knows it.

    Raises:
        TableError: If two sources differ in their images, folds, targets or patients.
    """
    first = sources[0]
    with_test = all(source.test is not None for source in sources)
    aligned = [_align_oof(source, first) for source in sources]
    table = first.oof.drop(columns=[PREDICTION, OWN_EPOCH, HONEST_EPOCH], errors="ignore")
    names = names_of([source.path for source in sources])
    chooses = any(source.epochs for source in sources)
    return Predictions(
        names=names,
        table=table.assign(**{PATIENT_ID: _join_patients(sources, aligned)}),
        oof=_predicted(aligned, PREDICTION),
        test_names=first.test_names if with_test else None,
        test=tuple(_align_test(source, first) for source in sources) if with_test else (),
        own=_predicted(aligned, OWN_EPOCH) if chooses else None,
        honest=_predicted(aligned, HONEST_EPOCH) if chooses else None,
        flattered=tuple(name for name, source in zip(names, sources) if source.is_flattered),
        folds_of_runs=np.array([rows[FOLD].to_numpy(dtype=np.int64) for rows in aligned]),
        repeats=tuple(source.repeat for source in sources),
    )


def _predicted(aligned: Sequence[pd.DataFrame], column: str) -> Floats:
    """A column of predictions of each source; the plain predictions where a source lacks it."""
    columns = [column if column in rows.columns else PREDICTION for rows in aligned]
    return np.array([rows[c].to_numpy(dtype=np.float64) for rows, c in zip(aligned, columns)])


def names_of(paths: Sequence[Path]) -> list[str]:
    """Short names that tell paths apart: their last parts where these differ.

    >>> names_of([Path("runs/a"), Path("runs/b")]), names_of([Path("1/oof.csv"), Path("2/oof.csv")])
    (['a', 'b'], ['1/oof.csv', '2/oof.csv'])
    """
    short = [path.name for path in paths]
    clash = len(set(short)) < len(short) or any(name in (*METHODS, RUN, "") for name in short)
    return [str(path) for path in paths] if clash else short


def check_given_once(paths: Sequence[Path], option: str) -> None:
    """Check that no path is given twice, however it is written.

    Raises:
        ConfigError: Naming those that are.
    """
    resolved = [path.resolve() for path in paths]
    twice = {str(path) for path, real in zip(paths, resolved) if resolved.count(real) > 1}
    if twice:
        raise ConfigError(
            f"{option}: {name_some(sorted(twice))} given twice, which would count twice. Give each "
            "once; --weights can make it count for more."
        )


def _align_oof(source: Source, first: Source) -> pd.DataFrame:
    """The rows of a source in the order of the first."""
    wanted_by = f"{first.path}, out of fold"
    positions = positions_of(first.oof[IMAGE_NAME], source.oof, source.path, wanted_by, _REMEDY)
    rows = source.oof.iloc[positions] if source is not first else source.oof
    for column in (TARGET,) if _repeats(source, first) else (FOLD, TARGET):
        differing = np.flatnonzero(rows[column].to_numpy() != first.oof[column].to_numpy())
        if len(differing):
            values = zip(rows[IMAGE_NAME].iloc[differing], rows[column].iloc[differing])
            raise TableError(
                f"{source.path}: {column} of {name_some(f'{name} ({v})' for name, v in values)} "
                f"is another than in {first.path}. {_REMEDY}"
            )
    return rows.set_index(first.oof.index)


def _repeats(source: Source, first: Source) -> bool:
    """Whether two runs have been trained on different columns of one fold file."""
    one, other = source.repeat, first.repeat
    if one is None or other is None:
        return False
    return one.folds_file == other.folds_file and one.column != other.column


def _join_patients(sources: Sequence[Source], aligned: Sequence[pd.DataFrame]) -> "pd.Series[str]":
    """Whose photograph each image is, from the first source that knows it."""
    joined, known = aligned[0][PATIENT_ID], _is_known(aligned[0])
    for source, rows in zip(sources[1:], aligned[1:]):
        also = _is_known(rows)
        differing = known & also & (normal_form(rows[PATIENT_ID]) != normal_form(joined))
        if differing.any():
            columns = (rows[IMAGE_NAME], rows[PATIENT_ID], joined)
            values = zip(*(column[differing] for column in columns))
            named = name_some(f"{name} ({theirs}, {ours})" for name, theirs, ours in values)
            raise TableError(
                f"{source.path}: {PATIENT_ID} of {named} is another than in a table before it, of "
                f"which {sources[0].path} is the first. {_REMEDY}"
            )
        joined, known = joined.where(known, rows[PATIENT_ID]), known | also
    return joined


def _is_known(rows: pd.DataFrame) -> "pd.Series[bool]":
    """Whether a source knows the patient; `patients_as_written` names others after their image."""
    patients, names = normal_form(rows[PATIENT_ID]), normal_form(rows[IMAGE_NAME])
    return (patients != names) & (patients != "image:" + names)


def _align_test(source: Source, first: Source) -> Floats:
    names, wanted = source.test_names, first.test_names
    if source.test is None or names is None or wanted is None:
        raise ValueError(f"{source.path} or {first.path} has no test predictions")
    table = names.to_frame(IMAGE_NAME)
    path = source.path
    positions = positions_of(wanted, table, path, f"{first.path}, on test images", _REMEDY)
    return source.test[:, positions]
