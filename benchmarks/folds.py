"""Time, memory and balance of balanced folds beside scikit-learn's StratifiedGroupKFold.

`folds.py` measures assignment on several tables; `folds.py scores` compares the AUCs that folds of
SIIM-ISIC 2020 reach by their metadata alone. Real tables are ../shared/data/*/train.csv where they
are there; the others are simulated. Each assignment is measured in a process of its own, so that
its peak memory is its own.
"""

import json
import os
import resource
import subprocess
import sys
import time
from typing import Literal, get_args

import numpy as np
import numpy.typing as npt
import pandas as pd
from common import SHARED, call

from melanoma.command_line import script
from melanoma.folds.assignment import assign_folds
from melanoma.folds.balance import judge_folds
from melanoma.folds.balancing import balance_groups, size_strata
from melanoma.folds.factors import factor_codes, factors_of
from melanoma.folds.groups import join_groups
from melanoma.metrics.curves import auc
from melanoma.tables import AGE, SEX, SITE, TARGET, read_train

Codes = npt.NDArray[np.int64]
Numbers = npt.NDArray[np.float64]
Table = Literal["siim", "isic2018", "isic2024", "million"]
Method = Literal["ours", "scikit-learn"]
Split = Literal["balanced", "grouped", "random patients"]

REAL = {"siim": SHARED / "siim2020", "isic2018": SHARED / "isic2018"}
# Images, patients, most images of one patient, share of positives. The first are ISIC 2024's.
SIMULATED = {
    "isic2024": (401_059, 1_042, 9_000, 0.001),
    "million": (1_000_000, 50_000, 3_000, 0.01),
}
FACTORS = ["sex", "site", "age", "diagnosis"]
COLUMNS = ["table", "method", "k", "rows", "groups", "seconds", "peak_mb", "images", "positives"]
COLUMNS += ["groups_", "pos_groups", "strata_pct", *(f"{name}_pp" for name in FACTORS)]
COLUMNS += [f"pos_{name}" for name in FACTORS]


def compare(
    tables: list[Table] | None = None,
    n_folds: list[int] | None = None,
    seed: int = 42,
    scikit_learn: bool = True,
) -> None:
    """Print a row per table, number of folds and method; from `images` on, spreads over the folds.

    `sex_pp` and the like are shares of images in percentage points, of the worst value; `pos_sex` and
    the like are numbers of positives with one value.

    Args:
        tables: Some of siim, isic2018, isic2024 (401,059 images), million; all by default.
        n_folds: Numbers of folds, by default 5.
        seed: Of both methods.
        scikit_learn: Measure StratifiedGroupKFold too.
    """
    print(" ".join(f"{column:>13}" for column in COLUMNS))
    methods: list[Method] = ["ours", "scikit-learn"] if scikit_learn else ["ours"]
    for table in tables or get_args(Table):
        if table in REAL and not REAL[table].exists():
            print(f"{table:>13} left out: no {REAL[table]}")
            continue
        for k in n_folds or [5]:
            for method in methods:
                row = measure_in_a_process(table, method, k, seed)
                print(" ".join(f"{row[column]:>13}" for column in COLUMNS), flush=True)


def compare_scores(n_folds: int = 5, n_seeds: int = 14) -> None:
    """Print by how much the AUCs of folds differ where a score knows the metadata alone.

    The score is a logistic regression on sex, site and age band, fitted to all images of SIIM-ISIC
    2020 and predicted for all of them. It is the same for every split, so that its AUCs differ by
    who is in which fold and by nothing else. `auc_sd` is the standard deviation over the folds of a
    split, pooled over the seeds; `sex` and the like are the largest spread of the melanomas with one
    value.

    Args:
        n_folds: Number of folds.
        n_seeds: Number of splits of each kind, of seeds 1, 2 and so on.
    """
    train = read_train(REAL["siim"])
    score, target = metadata_score(train), train[TARGET].to_numpy()
    train["age_20_years"] = (train[AGE] // 20).astype("str")
    factors, groups = [SEX, SITE, AGE, "age_20_years"], join_groups(train)
    print(f"{'split':>16} {'auc_sd':>8}", *(f"{name[:12]:>13}" for name in factors))
    for split in get_args(Split):
        of_seeds = [split_patients(train, split, n_folds, 1 + n) for n in range(n_seeds)]
        variances = [
            np.var([auc(target[folds == k], score[folds == k]) for k in range(n_folds)], ddof=1)
            for folds in of_seeds
        ]
        balances = [judge_folds(train, folds, groups, factors[-1:]) for folds in of_seeds]
        worst = [max(balance.melanoma_spread(name) for balance in balances) for name in factors]
        print(f"{split:>16} {np.sqrt(np.mean(variances)):>8.4f}", *(f"{n:>13}" for n in worst))


def metadata_score(train: pd.DataFrame) -> Numbers:
    """The log-odds of a melanoma by sex, site and age band (ten years), missing being a value."""
    from sklearn.linear_model import LogisticRegression

    known = pd.get_dummies(factors_of(train)[[SEX, SITE, AGE]]).to_numpy(float)
    fitted = LogisticRegression(max_iter=1000).fit(known, train[TARGET])
    score: Numbers = fitted.decision_function(known)
    return score


def split_patients(train: pd.DataFrame, split: Split, n_folds: int, seed: int) -> Codes:
    """Assign folds by a scheme, or deal patients at random, equally many to each fold."""
    groups = join_groups(train)
    if split == "random patients":
        dealt = np.random.default_rng(seed).permutation(np.arange(groups.max() + 1) % n_folds)
        return dealt[groups]
    return assign_folds(train, n_folds, seed, split, groups)


def measure_in_a_process(
    table: Table, method: Method, n_folds: int, seed: int
) -> dict[str, object]:
    """Run `measure` in a fresh Python with one thread and read what it printed."""
    command = [sys.executable, __file__, "--measure", table, method, str(n_folds), str(seed)]
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    done = subprocess.run(command, env=environment, stdout=subprocess.PIPE, check=True, text=True)  # noqa: S603
    row: dict[str, object] = json.loads(done.stdout)
    return row


def measure(table: Table, method: Method, n_folds: int, seed: int) -> dict[str, object]:
    """Assign the folds of one table once: what it took, and what came out."""
    groups, factors = read_real(table) if table in REAL else simulate(*SIMULATED[table])
    assign = balance_groups if method == "ours" else stratified_group_k_fold
    start = time.perf_counter()
    folds = assign(groups, factors, n_folds, seed)
    seconds = time.perf_counter() - start
    return {
        "table": table,
        "method": method,
        "k": n_folds,
        "rows": len(groups),
        "groups": len(np.unique(groups)),
        "seconds": round(seconds, 2),
        "peak_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024,  # kB on Linux
        **spreads(groups, factors, folds, n_folds),
    }


def stratified_group_k_fold(groups: Codes, factors: list[Codes], n_folds: int, seed: int) -> Codes:
    """The same call to scikit-learn, which balances the target alone."""
    from sklearn.model_selection import StratifiedGroupKFold

    folds = np.empty_like(groups)
    splitter = StratifiedGroupKFold(n_folds, shuffle=True, random_state=seed)
    for fold, (_, rows) in enumerate(splitter.split(groups, factors[0], groups)):
        folds[rows] = fold
    return folds


def spreads(groups: Codes, factors: list[Codes], folds: Codes, n_folds: int) -> dict[str, float]:
    """Largest minus smallest over the folds: numbers, and shares in percentage points."""

    def counts(of: Codes) -> Codes:
        return np.bincount(of, minlength=n_folds)

    positive = factors[0] == 1
    sizes, group_folds = np.bincount(groups), folds[np.unique(groups, return_index=True)[1]]
    strata = size_strata(sizes)
    in_strata = np.array([counts(group_folds[strata == s]) for s in range(strata.max() + 1)])
    deviations = np.abs(in_strata / in_strata.mean(axis=1, keepdims=True) - 1)
    named = dict(zip(FACTORS, factors[1:]))
    shares = {
        name: max(np.ptp(counts(folds[codes == c]) / counts(folds)) for c in range(codes.max() + 1))
        for name, codes in named.items()
    }
    return {
        "images": int(np.ptp(counts(folds))),
        "positives": int(np.ptp(counts(folds[positive]))),
        "groups_": int(np.ptp(counts(group_folds))),
        "pos_groups": int(np.ptp(counts(group_folds[np.unique(groups[positive])]))),
        "strata_pct": round(100 * float(deviations.max()), 2),
        **{f"{name}_pp": round(100 * float(share), 3) for name, share in shares.items()},
        **{
            f"pos_{name}": max(
                int(np.ptp(counts(folds[positive & (codes == c)]))) for c in range(codes.max() + 1)
            )
            for name, codes in named.items()
        },
    }


def read_real(table: Table) -> tuple[Codes, list[Codes]]:
    """Patients, and target, sex, site, 10-year age band and diagnosis, as codes."""
    train = read_train(REAL[table])
    return join_groups(train), factor_codes(factors_of(train))


def simulate(
    n_images: int, n_groups: int, largest: int, prevalence: float
) -> tuple[Codes, list[Codes]]:
    """Patients of log-normal size, with a sex, an age and a risk each; rows in random order.

    The risk differs by sex, age and site, as that of melanoma does.
    """
    random = np.random.default_rng(0)
    due = random.lognormal(0, 1.5, n_groups)
    due = np.minimum(due / due.sum(), largest / n_images)
    sizes = 1 + np.floor(due / due.sum() * (n_images - n_groups)).astype(np.int64)
    sizes[: n_images - sizes.sum()] += 1
    groups = random.permutation(np.repeat(np.arange(n_groups), sizes))
    sex, age = random.integers(0, 2, n_groups)[groups], random.integers(1, 9, n_groups)[groups]
    site = random.choice(6, n_images, p=[0.5, 0.25, 0.13, 0.07, 0.04, 0.01])
    risk = random.gamma(0.7, 1, n_groups)[groups] * (1 + 0.6 * sex) * age**1.5 * (1 + 0.3 * site)
    target = (random.random(n_images) < prevalence * risk / risk.mean()).astype(np.int64)
    diagnosis = np.where(target, 1, random.choice([0, 2, 3], n_images, p=[0.95, 0.04, 0.01]))
    return groups, [target, sex, site, age, diagnosis]


@script
def main(arguments: list[str]) -> None:
    """Compare assignments or scores, or measure one table for a comparison."""
    if arguments[:1] == ["--measure"]:
        table, method, k, seed = arguments[1:]
        print(json.dumps(measure(table, method, int(k), int(seed))))  # type: ignore[arg-type]
    elif arguments[:1] == ["scores"]:
        call(compare_scores, __doc__, arguments[1:])
    else:
        call(compare, __doc__, arguments)


if __name__ == "__main__":
    sys.exit(main())
