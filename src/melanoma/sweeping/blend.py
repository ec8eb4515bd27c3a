"""The blend of a sweep: whether it can be made, before anything is trained, and making it."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import yaml

from melanoma.ensemble.blending import MethodChoice, methods_to_score
from melanoma.ensemble.options import check_options
from melanoma.ensemble.outputs import check_out_dir
from melanoma.ensemble.repeats import repeat_of
from melanoma.ensemble.sources import Source, join_sources
from melanoma.ensemble.submission import Submission, build_submission
from melanoma.files import write_json
from melanoma.folds.files import read_folds
from melanoma.sweeping.runs import SweepRun
from melanoma.tables import (
    FOLD,
    IMAGE_NAME,
    OOF_COLUMNS,
    PATIENT_ID,
    PREDICTION,
    patients_as_written,
    read_test,
)
from melanoma.training.inputs import ALL_FOLDS

# Says that a folder of results is a sweep's, which the next one may replace.
MARK = "sweep.json"


def check_blend(runs: Sequence[SweepRun], output_dir: Path, method: MethodChoice) -> None:
    """Check that the runs can be blended once they are trained.

    They are joined as they will be, each predicting the same for every image.

    Raises:
        MelanomaError: If they have other images, folds or targets, the method fits what a single
            fold cannot be fitted with, or the folder holds another blend.
    """
    made: dict[tuple[object, ...], Source] = {}
    sources = []
    for run in runs:
        data = run.config.data
        made_from = *(data[name] for name in ("data_dir", "folds_csv", "fold_column")), *run.asked
        if made_from not in made:  # seeds of a recipe share their tables
            made[made_from] = _to_come(run)
        repeat = repeat_of(yaml.safe_load(run.config.resolved), str(data["folds_csv"]))
        sources.append(replace(made[made_from], path=run.config.run_dir, repeat=repeat))
    predictions = join_sources(sources)
    methods_to_score(method, predictions)
    options = check_options([run.config.run_dir for run in runs], (), (), method, (), False)
    options = replace(options, allow_missing_folds=_lacks_folds(runs))
    check_out_dir(output_dir, options.as_dict(), overwrite=_is_ours(output_dir))


def blend(runs: Sequence[SweepRun], output_dir: Path, method: MethodChoice) -> Submission:
    """Blend finished runs; see `build_submission`."""
    built = build_submission(
        run_dir=[run.config.run_dir for run in runs],
        method=method,
        out_dir=output_dir,
        allow_missing_folds=_lacks_folds(runs),
        overwrite=_is_ours(output_dir),
    )
    write_json(output_dir / MARK, {"runs": [str(run.config.run_dir) for run in runs]})
    return built


def _lacks_folds(runs: Sequence[SweepRun]) -> bool:
    return runs[0].config.folds != ALL_FOLDS


def _is_ours(output_dir: Path) -> bool:
    return (output_dir / MARK).is_file()


def _to_come(run: SweepRun) -> Source:
    """What a run will have predicted, but for the predictions."""
    data = run.config.data
    folder = Path(data["data_dir"])
    train = read_folds(Path(data["folds_csv"]), folder, data["fold_column"])
    rows = train[train[FOLD].isin(run.asked)]
    patients = patients_as_written(rows)
    oof = rows.assign(**{PATIENT_ID: patients}).assign(**{PREDICTION: 0.5})[OOF_COLUMNS]
    test = read_test(folder)
    if test is None:
        return Source(run.config.run_dir, oof)
    return Source(run.config.run_dir, oof, test[IMAGE_NAME], np.full((1, len(test)), 0.5))
