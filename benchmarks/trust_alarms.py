"""How often the report raises false alarms, and how often it finds what is there."""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from typing import Any

import numpy as np
import pandas as pd
from trust_simulation import AUC, SIZES, WEAK_SITE, Competition, Network

from melanoma.ensemble.predictions import Predictions
from melanoma.ensemble.review import review_runs
from melanoma.report.alarms import FOLD_LEVEL, GROUP_LEVEL, compare_folds, compare_groups
from melanoma.tables import SITE

N_FOLDS = (5, 10)
NETWORKS = {
    "plain": Network(),
    "metadata": Network(uses_metadata=True),
    "calibration": Network(fold_spread=1.0),
}
DROPS = (0.03, 0.05, 0.1)
# Of 300 reports with an alarm in 5 %: more would be 2 cases in 100.
MOST_OF_300 = 23
KINDS = ("folds", "groups", "shifts")


def print_alarms(n_reports: int, n_processes: int) -> None:
    """Print a row per size, number of folds and network: in how many reports there is an alarm.

    Nothing differs in them: neither folds, nor groups, nor test images.

    Args:
        n_reports: Of each row.
        n_processes: Side by side.
    """
    columns = ["size", "k", "networks", "reports", *KINDS, "any", "at most"]
    _print_row(columns)
    for size in SIZES:
        counts: Counter[tuple[Any, ...]] = Counter()
        for found in _each(partial(_false_alarms, size), range(n_reports), n_processes):
            counts.update(found)
        for n_folds in N_FOLDS:
            for network in NETWORKS:
                alarms = [counts[n_folds, network, kind] for kind in (*KINDS, "any")]
                most = MOST_OF_300 * n_reports // 300
                _print_row([size, n_folds, network, n_reports, *alarms, most])


def print_power(n_reports: int, n_processes: int) -> None:
    """Print in how many of 100 reports on five folds a weak fold, or a weak site, is named.

    Beside them: in how many anything else is named too.

    Args:
        n_reports: Of each row.
        n_processes: Side by side.
    """
    _print_row(["size", "weak", "melanomas", "AUC", "lower by", "named, %", "others, %"])
    for size in SIZES:
        found = list(_each(partial(_found, size), range(n_reports), n_processes))
        for key in found[0]:
            melanomas, named, others = np.mean([each[key] for each in found], axis=0)
            part, drop = key
            shares = [f"{100 * share:.0f}" for share in (named, others)]
            _print_row([size, part, round(melanomas), AUC - drop, drop, *shares])


def alarms_of(run: Predictions, competition: Competition) -> dict[str, set[str]]:
    """What the report names, by kind."""
    return {
        "folds": _weak_folds(run),
        "groups": _weak_groups(run, competition.factors),
        "shifts": {
            shift.run
            for shift in review_runs(run, competition.test.patients).shifts
            if shift.is_large
        },
    }


def _false_alarms(size: str, seed: int) -> set[tuple[Any, ...]]:
    competition = Competition(SIZES[size], seed)
    found = set[tuple[Any, ...]]()
    for n_folds in N_FOLDS:
        for name, network in NETWORKS.items():
            run = competition.run(competition.deal(n_folds), network)
            kinds = [kind for kind, named in alarms_of(run, competition).items() if named]
            found |= {(n_folds, name, kind) for kind in kinds}
            found |= {(n_folds, name, "any")} if kinds else set()
    return found


def _found(size: str, seed: int) -> dict[tuple[str, float], tuple[int, bool, bool]]:
    """The melanomas of the weak part, whether it is named, and whether anything else is."""
    competition = Competition(SIZES[size], seed)
    folds = competition.deal(5)
    is_site = (competition.rows[SITE] == WEAK_SITE).to_numpy()
    found = {}
    for drop in DROPS:
        for part, inside in [("a fold", folds == 0), ("a site", is_site)]:
            run = competition.run(folds, Network(), np.where(inside, AUC - drop, AUC))
            named = _weak_folds(run) | _weak_groups(run, competition.factors)
            weak = {"0" if part == "a fold" else f"site {WEAK_SITE}"}
            melanomas = int(competition.train.targets[inside].sum())
            found[part, drop] = melanomas, weak <= named, bool(named - weak)
    return found


def _weak_folds(run: Predictions) -> set[str]:
    tests = compare_folds(run.targets, run.oof[0], run.folds, run.patients)
    return {str(test.part) for test in tests if test.p_value <= FOLD_LEVEL}


def _weak_groups(run: Predictions, factors: pd.DataFrame) -> set[str]:
    tests = compare_groups(factors, run.targets, run.oof[0], run.patients)
    return {" ".join(key) for key, test in tests.items() if test.p_value <= GROUP_LEVEL}


def _each(function: Callable[[int], Any], seeds: Iterable[int], n_processes: int) -> Iterator[Any]:
    with ProcessPoolExecutor(n_processes) as pool:
        yield from pool.map(function, seeds)


def _print_row(cells: Iterable[object]) -> None:
    texts = [f"{cell:.2f}" if isinstance(cell, float) else str(cell) for cell in cells]
    print(" ".join(f"{text:>11}" for text in texts), flush=True)
