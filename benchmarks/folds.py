"""Time, memory and balance of balanced folds beside scikit-learn's StratifiedGroupKFold.

The real table is ../shared/data/siim2020/train.csv where it is there; the others are simulated.
Each measurement is a process of its own, so that its peak memory is its own.
"""

import json
import os
import resource
import subprocess
import sys
import time
from typing import Literal

import numpy as np
import numpy.typing as npt
from common import SHARED, call

from melanoma.command_line import script
from melanoma.folds.balancing import balance_groups, size_strata

Codes = npt.NDArray[np.int64]
Table = Literal["siim", "isic2024", "million"]
Method = Literal["ours", "scikit-learn"]

SIIM_CSV = SHARED / "siim2020" / "train.csv"
# Images, patients, most images of one patient, share of positives. The first are ISIC 2024's.
SIMULATED = {
    "isic2024": (401_059, 1_042, 9_000, 0.001),
    "million": (1_000_000, 50_000, 3_000, 0.01),
}
COLUMNS = ["table", "method", "k", "rows", "groups", "seconds", "peak_mb", "images", "positives"]
COLUMNS += ["groups_", "pos_groups", "strata_pct", "sex_pp", "site_pp", "age_pp", "diagnosis_pp"]


def compare(
    tables: list[Table] | None = None,
    n_folds: list[int] | None = None,
    seed: int = 42,
    scikit_learn: bool = True,
) -> None:
    """Print a row per table, number of folds and method; from `images` on, spreads over the folds.

    Args:
        tables: Some of siim, isic2024 (401,059 images), million; all by default.
        n_folds: Numbers of folds, by default 5.
        seed: Of both methods.
        scikit_learn: Measure StratifiedGroupKFold too.
    """
    print(" ".join(f"{column:>12}" for column in COLUMNS))
    methods: list[Method] = ["ours", "scikit-learn"] if scikit_learn else ["ours"]
    for table in tables or ["siim", "isic2024", "million"]:
        if table == "siim" and not SIIM_CSV.exists():
            print(f"{table:>12} left out: no {SIIM_CSV}")
            continue
        for k in n_folds or [5]:
            for method in methods:
                row = measure_in_a_process(table, method, k, seed)
                print(" ".join(f"{row[column]:>12}" for column in COLUMNS), flush=True)


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
    groups, factors = read_siim() if table == "siim" else simulate(*SIMULATED[table])
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

    sizes, group_folds = np.bincount(groups), folds[np.unique(groups, return_index=True)[1]]
    strata = size_strata(sizes)
    in_strata = np.array([counts(group_folds[strata == s]) for s in range(strata.max() + 1)])
    deviations = np.abs(in_strata / in_strata.mean(axis=1, keepdims=True) - 1)
    shares = {
        name: max(np.ptp(counts(folds[codes == c]) / counts(folds)) for c in range(codes.max() + 1))
        for name, codes in zip(["sex_pp", "site_pp", "age_pp", "diagnosis_pp"], factors[1:])
    }
    return {
        "images": int(np.ptp(counts(folds))),
        "positives": int(np.ptp(counts(folds[factors[0] == 1]))),
        "groups_": int(np.ptp(counts(group_folds))),
        "pos_groups": int(np.ptp(counts(group_folds[np.unique(groups[factors[0] == 1])]))),
        "strata_pct": round(100 * float(deviations.max()), 2),
        **{name: round(100 * float(share), 3) for name, share in shares.items()},
    }


def read_siim() -> tuple[Codes, list[Codes]]:
    """Patients, and target, sex, site, 10-year age band and diagnosis, as codes."""
    import pandas as pd

    table = pd.read_csv(SIIM_CSV).assign(age_band=lambda t: t["age_approx"] // 10)
    names = ["sex", "anatom_site_general_challenge", "age_band", "diagnosis"]
    factors = [pd.factorize(table[name], use_na_sentinel=False)[0] for name in names]
    return pd.factorize(table["patient_id"], sort=True)[0], [table["target"].to_numpy(), *factors]


def simulate(
    n_images: int, n_groups: int, largest: int, prevalence: float
) -> tuple[Codes, list[Codes]]:
    """Patients of log-normal size, with a sex, an age and a risk each; rows in random order."""
    random = np.random.default_rng(0)
    due = random.lognormal(0, 1.5, n_groups)
    due = np.minimum(due / due.sum(), largest / n_images)
    sizes = 1 + np.floor(due / due.sum() * (n_images - n_groups)).astype(np.int64)
    sizes[: n_images - sizes.sum()] += 1
    groups = random.permutation(np.repeat(np.arange(n_groups), sizes))
    risk = random.gamma(0.7, 1, n_groups)[groups]
    target = (random.random(n_images) < prevalence * risk / risk.mean()).astype(np.int64)
    sex, age = random.integers(0, 2, n_groups)[groups], random.integers(1, 9, n_groups)[groups]
    site = random.choice(6, n_images, p=[0.5, 0.25, 0.13, 0.07, 0.04, 0.01])
    diagnosis = np.where(target, 1, random.choice([0, 2, 3], n_images, p=[0.95, 0.04, 0.01]))
    return groups, [target, sex, site, age, diagnosis]


@script
def main(arguments: list[str]) -> None:
    """Compare, or measure one table for a comparison."""
    if arguments[:1] == ["--measure"]:
        table, method, k, seed = arguments[1:]
        print(json.dumps(measure(table, method, int(k), int(seed))))  # type: ignore[arg-type]
        return
    call(compare, __doc__, arguments)


if __name__ == "__main__":
    sys.exit(main())
