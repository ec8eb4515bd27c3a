"""Time of AUCs beside scikit-learn's roc_auc_score, and how often confidence intervals are right.

The real table is ../shared/data/siim2020/train.csv where it is there; predictions are simulated.
Each measurement is a process of its own with one thread, so that its peak memory is its own.
"""

import json
import math
import os
import resource
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from statistics import NormalDist
from typing import Literal

import numpy as np
import numpy.typing as npt
from common import SHARED, call

from melanoma.command_line import script
from melanoma.metrics import PatientBootstrap, auc, delong_test, delong_variance

Codes = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]
Table = Literal["siim", "simulated", "alone", "isic2024"]

SIIM_CSV = SHARED / "siim2020" / "train.csv"
# Images, patients, positives. In the second every image is of a patient of its own.
SIMULATED = {
    "simulated": (33_126, 2_056, 584),
    "alone": (33_126, 33_126, 584),
    "isic2024": (401_059, 1_042, 393),
}
COLUMNS = ["table", "rows", "patients", "positives", "ties", "measured", "ours_ms", "sklearn_ms"]
COLUMNS += ["ratio", "difference", "peak_mb"]

# Patients, images of each on average, share of positives, AUC, correlation of a patient's images.
CLUSTERED = [
    (50, 8, 0.05, 0.85, 0.5),
    (100, 10, 0.05, 0.85, 0.5),
    (100, 10, 0.05, 0.95, 0.5),
    (100, 5, 0.1, 0.85, 0.25),
    (300, 16, 0.0176, 0.9, 0.5),
    (400, 1, 0.2, 0.85, 0.0),
    (2056, 16, 0.0176, 0.88, 0.25),
    # Near 1, where many tables have an AUC of exactly 1.
    (100, 1, 0.1, 0.99, 0.0),
    (100, 1, 0.5, 0.99, 0.0),
    (100, 5, 0.1, 0.99, 0.25),
    (100, 5, 0.1, 0.999, 0.25),
    (400, 1, 0.2, 0.99, 0.0),
]
CHECKED = ["patients", "images", "share", "auc", "alike", "ours_%", "percentile_%", "delong_%"]
CHECKED += ["claims_%", "delong_cl_%"]


def compare(
    tables: list[Table] | None = None, n_draws: int = 1000, repeats: int = 5, n_simulated: int = 0
) -> None:
    """Print a row per table: milliseconds per AUC, and the largest difference from scikit-learn's.

    Args:
        tables: Some of siim (or simulated, as large), alone (33,126 patients), isic2024 (401,059
            images); all by default.
        n_draws: Of the bootstrap.
        repeats: Each time is the median of so many, after one to warm up.
        n_simulated: Check intervals of 95 % on so many simulated tables each (1000: 5 minutes).
            Printed is how many hold the truth (ours, percentiles of the draws, DeLong's), and how
            many of two equal predictions' differences are claimed to be real (ours, DeLong's).
    """
    first: Table = "siim" if SIIM_CSV.exists() else "simulated"
    print(" ".join(f"{column:>10}" for column in COLUMNS))
    for table in tables or [first, "alone", "isic2024"]:
        for decimals in (17, 2):
            for row in measure_in_a_process(table, decimals, n_draws, repeats):
                print(" ".join(f"{row[column]:>10}" for column in COLUMNS), flush=True)
    if n_simulated:
        print("\n" + " ".join(f"{column:>12}" for column in CHECKED))
        for setting in CLUSTERED:
            rates = check_intervals(*setting, n_simulated)
            cells = [*map(str, setting), *(f"{100 * rate:.1f}" for rate in rates)]
            print(" ".join(f"{cell:>12}" for cell in cells), flush=True)


def measure_in_a_process(
    table: Table, decimals: int, n_draws: int, repeats: int
) -> list[dict[str, object]]:
    """Run `measure` in a fresh Python with one thread and read what it printed."""
    arguments = [table, str(decimals), str(n_draws), str(repeats)]
    command = [sys.executable, __file__, "--measure", *arguments]
    environment = os.environ | {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
    done = subprocess.run(command, env=environment, stdout=subprocess.PIPE, check=True, text=True)  # noqa: S603
    rows: list[dict[str, object]] = json.loads(done.stdout)
    return rows


def measure(table: Table, decimals: int, n_draws: int, repeats: int) -> list[dict[str, object]]:
    """Ours first, so that the peak memory is without scikit-learn."""
    targets, patients = read_siim() if table == "siim" else simulate(*SIMULATED[table])
    random = np.random.default_rng(0)
    scores = (1 / (1 + np.exp(3 - random.normal(1.7 * targets)))).round(decimals)
    draw_s = median_s(lambda: PatientBootstrap(targets, patients, n_draws).aucs(scores), repeats)
    peak_mb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024  # kB on Linux
    one_s = median_s(lambda: auc(targets, scores), repeats)
    bootstrap = PatientBootstrap(targets, patients, n_draws)

    from sklearn.metrics import roc_auc_score

    weights = bootstrap.draws[:20, np.unique(patients, return_inverse=True)[1]]
    theirs = [roc_auc_score(targets, scores, sample_weight=weight) for weight in weights]
    their_draw_s = median_s(
        lambda: roc_auc_score(targets, scores, sample_weight=weights[0]), repeats
    )
    their_s = median_s(lambda: roc_auc_score(targets, scores), repeats)
    facts = {
        "table": table,
        "rows": len(targets),
        "patients": len(np.unique(patients)),
        "positives": int(targets.sum()),
        "ties": len(scores) - len(np.unique(scores)),
        "peak_mb": peak_mb,
    }
    one_difference = abs(auc(targets, scores) - roc_auc_score(targets, scores))
    difference = np.abs(bootstrap.aucs(scores)[:20] - theirs).max()
    return [
        facts | timed("one_auc", one_s, their_s, one_difference),
        facts | timed("a_draw", draw_s / n_draws, their_draw_s, difference),
    ]


def median_s(call: Callable[[], object], repeats: int) -> float:
    """Median time in seconds of so many calls, after one to warm up."""
    times = []
    for _ in range(repeats + 1):
        start = time.perf_counter()
        call()
        times.append(time.perf_counter() - start)
    return statistics.median(times[1:])


def timed(measured: str, ours_s: float, theirs_s: float, difference: float) -> dict[str, object]:
    """The cells of a row that hold its times."""
    return {
        "measured": measured,
        "ours_ms": f"{1000 * ours_s:.4f}",
        "sklearn_ms": f"{1000 * theirs_s:.3f}",
        "ratio": f"{theirs_s / ours_s:.0f}",
        "difference": f"{difference:.0e}",
    }


def read_siim() -> tuple[Codes, Codes]:
    """Targets and patients of the competition."""
    import pandas as pd

    table = pd.read_csv(SIIM_CSV)
    return table["target"].to_numpy(), pd.factorize(table["patient_id"], sort=True)[0]


def simulate(n_images: int, n_patients: int, n_positives: int) -> tuple[Codes, Codes]:
    """Targets, and patients of log-normal size, at least one image each."""
    random = np.random.default_rng(0)
    shares = random.lognormal(0, 1, n_patients)
    more = random.choice(n_patients, n_images - n_patients, p=shares / shares.sum())
    patients = np.concatenate([np.arange(n_patients), more])
    targets = np.zeros(n_images, dtype=np.int64)
    targets[random.choice(n_images, n_positives, replace=False)] = 1
    return targets, patients


def check_intervals(
    n_patients: int, images: int, share: float, true_auc: float, alike: float, n_simulated: int
) -> Floats:
    """Shares of simulated tables: the last five of CHECKED."""
    random = np.random.default_rng(0)
    found = []
    while len(found) < n_simulated:
        patients = np.repeat(np.arange(n_patients), random.geometric(1 / images, n_patients))
        risk = share * random.gamma(0.7, 1 / 0.7, n_patients)
        targets = random.random(len(patients)) < np.minimum(risk, 0.9)[patients]
        if targets.sum() < 2:
            continue
        of_patient = random.normal(size=(3, n_patients))[:, patients]
        of_image = random.normal(size=(3, len(patients)))
        a, b, both = math.sqrt(alike) * of_patient + math.sqrt(1 - alike) * of_image
        shift = math.sqrt(2) * NormalDist().inv_cdf(true_auc) * targets
        a, b = (shift + 0.6 * own + 0.8 * both for own in (a, b))
        bootstrap = PatientBootstrap(targets, patients, 500, seed=len(found))
        ours, delong = bootstrap.interval(a), 1.96 * math.sqrt(delong_variance(targets, a))
        low, high = np.quantile(bootstrap.aucs(a), [0.025, 0.975])
        held = [ours.low <= true_auc <= ours.high, low <= true_auc <= high]
        held.append(abs(auc(targets, a) - true_auc) <= delong)
        tests = [bootstrap.difference(a, b), delong_test(targets, a, b)]
        found.append(held + [test.p_value < 0.05 for test in tests])
    rates: Floats = np.mean(found, axis=0)
    return rates


@script
def main(arguments: list[str]) -> None:
    """Compare, or measure one table for a comparison."""
    if arguments[:1] == ["--measure"]:
        table, *numbers = arguments[1:]
        print(json.dumps(measure(table, *map(int, numbers))))  # type: ignore[arg-type]
        return
    call(compare, __doc__, arguments)


if __name__ == "__main__":
    sys.exit(main())
