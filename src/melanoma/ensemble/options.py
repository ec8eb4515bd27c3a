"""What a user asks for, checked before anything is read."""

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from melanoma.ensemble.blending import MethodChoice
from melanoma.ensemble.methods import METHODS
from melanoma.ensemble.sources import check_given_once
from melanoma.errors import ConfigError, name_some

DEFAULT_OUT_DIR = Path("runs/blend")


@dataclass(frozen=True)
class Options:
    """What is blended, and how. The order in which things are given makes no difference.

    Attributes:
        run_dir: Run folders.
        oof: Out-of-fold tables made elsewhere.
        submissions: What the models of `oof` predict for the test images, or submissions alone.
        method: Of the blend.
        weights: Of the runs, then of the tables; empty where none are given.
        context: Whether to try the context of the patient.
        allow_missing_folds: Whether runs may lack folds.
    """

    run_dir: tuple[Path, ...]
    oof: tuple[Path, ...]
    submissions: tuple[Path, ...]
    method: MethodChoice
    weights: tuple[float, ...]
    context: bool
    allow_missing_folds: bool = False

    @property
    def only_submissions(self) -> bool:
        """Whether there is nothing out of fold."""
        return not (self.run_dir or self.oof)

    def out_dir(self) -> Path:
        """Where the results go unless told otherwise: into the folder of an only run."""
        alone = len(self.run_dir) == 1 and not self.oof
        return self.run_dir[0] if alone else DEFAULT_OUT_DIR

    def as_dict(self) -> dict[str, Any]:
        """For JSON, paths as text."""
        return {
            name: [str(v) if isinstance(v, Path) else v for v in value]
            if isinstance(value, tuple)
            else value
            for name, value in asdict(self).items()
        }


def check_options(
    run_dir: Sequence[Path],
    oof: Sequence[Path],
    submissions: Sequence[Path],
    method: MethodChoice,
    weights: Sequence[float],
    context: bool,
) -> Options:
    """Check that options go together, and put what they name in the order of its paths.

    Raises:
        ConfigError: If nothing is given, a path is given twice, or options contradict each other.
    """
    for paths, name in [(run_dir, "--run-dir"), (oof, "--oof"), (submissions, "--submissions")]:
        check_given_once(paths, name)
    _check_combination(run_dir, oof, submissions, method, context)
    blended = [*run_dir, *(oof or ([] if run_dir else submissions))]
    if weights:
        _check_weights(weights, len(blended), method)
    order = sorted(range(len(blended)), key=lambda n: (n >= len(run_dir), str(blended[n])))
    of_oof = [n - len(run_dir) for n in order if n >= len(run_dir)]
    return Options(
        run_dir=tuple(sorted(run_dir, key=str)),
        oof=tuple(oof[n] for n in of_oof) if oof else (),
        submissions=tuple(submissions[n] for n in of_oof) if submissions else (),
        method=method,
        weights=tuple(float(weights[n]) for n in order) if weights else (),
        context=context,
    )


def _check_combination(
    run_dir: Sequence[Path],
    oof: Sequence[Path],
    submissions: Sequence[Path],
    method: MethodChoice,
    context: bool,
) -> None:
    if not (run_dir or oof or submissions):
        raise ConfigError(
            "nothing to blend. Give --run-dir with the folders of runs, --oof with tables of "
            "out-of-fold predictions, or --submissions."
        )
    if oof and submissions and len(oof) != len(submissions):
        raise ConfigError(
            f"--oof names {len(oof)} tables and --submissions {len(submissions)}: give one of each "
            "per model, in the same order."
        )
    if run_dir and submissions and not oof:
        raise ConfigError(
            "--submissions cannot join runs without knowing what they are worth: give their "
            "out-of-fold tables with --oof in the same order, or blend submissions alone."
        )
    fits = method == "best" or METHODS[method].fits
    if not (run_dir or oof) and (fits or context):
        what = f"--method {method}" if fits else "--context"
        raise ConfigError(
            f"{what} is fitted to out-of-fold predictions, which --submissions lack. Add --oof, or "
            "choose --method mean, rank or logit without --context."
        )


def _check_weights(weights: Sequence[float], n_blended: int, method: MethodChoice) -> None:
    if method == "best" or METHODS[method].fits:
        raise ConfigError(
            f"--weights cannot be given to --method {method}, which fits its own. Leave them out, or "
            "choose mean, rank or logit."
        )
    if len(weights) != n_blended:
        raise ConfigError(
            f"--weights has {len(weights)} numbers for {n_blended} to blend. Give one each, in the "
            "same order."
        )
    wrong = [weight for weight in weights if not (weight >= 0 and math.isfinite(weight))]
    if wrong or not any(weights):
        named = f"{name_some(wrong)} is no weight" if wrong else "all of them are 0"
        raise ConfigError(f"--weights: {named}. Give numbers from 0, at least one above it.")
