"""What docs/numbers.md claims is computed, and compared with the page."""

import importlib
import math
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from melanoma.metrics import brier_score

ROOT = Path(__file__).resolve().parents[2]
PAGE = (ROOT / "docs" / "numbers.md").read_text(encoding="utf-8")


def table_below(heading: str) -> list[list[str]]:
    """The cells of the first table below a heading, without its head."""
    section = PAGE.partition(f"\n## {heading}\n")[2].partition("\n## ")[0]
    lines = [line for line in section.splitlines() if line.startswith("|")]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines[2:]]


def number(cell: str) -> float:
    return float(re.sub(r"[^0-9.+-]", "", cell))


def hanley_mcneil(area: float, n_positive: int, n_negative: int) -> float:
    """The standard error of an AUC: Hanley & McNeil, Radiology 143:29-36, 1982."""
    one, other = area / (2 - area), 2 * area**2 / (1 + area)
    variance = area * (1 - area)
    variance += (n_positive - 1) * (one - area**2) + (n_negative - 1) * (other - area**2)
    return math.sqrt(variance / (n_positive * n_negative))


def test_the_standard_errors_of_the_leaderboard() -> None:
    rows = table_below("The leaderboard")
    assert len(rows) == 4
    for _, images, melanomas, *errors in rows:
        n, n_positive = (int(number(cell)) for cell in (images, melanomas))
        assert n_positive == pytest.approx(n * 584 / 33_126, abs=0.5)
        expected = [hanley_mcneil(area, n_positive, n - n_positive) for area in (0.90, 0.94)]
        assert [number(cell) for cell in errors] == [round(error, 3) for error in expected]


# In a process of its own: which of `int | float` and `float | int` Python keeps is decided by who asks
# first, and Lightning's options, which are read in that order, have to be first here.
OUT_OF_FOLD = """
import numpy as np
from sklearn.datasets import load_diabetes, load_digits
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score
from sklearn.model_selection import cross_val_predict
from melanoma.metrics import delong_variance

digits, diabetes = load_digits(), load_diabetes()
tables = [(diabetes.data, diabetes.target > np.quantile(diabetes.target, 0.8))]
tables += [(digits.data[:, 20:44] / 16, digits.target == digit) for digit in range(10)]
for values, targets in tables:
    model = LogisticRegression(max_iter=500)
    scores = cross_val_predict(model, values, targets, cv=5, method="predict_proba")[:, 1]
    n = int(targets.sum())
    print(roc_auc_score(targets, scores), n, len(targets) - n, delong_variance(targets, scores))
"""


def test_delongs_standard_error_is_usually_smaller() -> None:
    """On out-of-fold predictions of real tables, which come with scikit-learn: digits, and diabetes."""
    environment = {**os.environ, "PYTHONPATH": str(ROOT / "src")}
    printed = subprocess.check_output(
        [sys.executable, "-c", OUT_OF_FOLD], text=True, env=environment
    )
    smaller = []
    for line in printed.splitlines():
        area, n_positive, n_negative, variance = line.split()
        by_formula = hanley_mcneil(float(area), int(n_positive), int(n_negative))
        smaller.append(float(variance) < by_formula**2)
    assert len(smaller) == 11
    assert sum(smaller) >= 0.8 * len(smaller)


def test_precision_by_prevalence() -> None:
    rows = table_below("Sensitivity, specificity, precision")
    assert len(rows) == 2
    for share, sensitivity, specificity, right, per_found in rows:
        p, sens, spec = (number(re.match(r"[\d.]+", cell)[0]) / 100  # type: ignore[index]
                         for cell in (share, sensitivity, specificity))  # fmt: skip
        found, alarms = p * sens, (1 - p) * (1 - spec)
        assert number(right) == round(100 * found / (found + alarms))
        assert number(per_found) == pytest.approx(alarms / found, abs=0.05 * (1 + alarms / found))


def test_the_brier_score_of_always_saying_the_same() -> None:
    share, score = re.search(  # type: ignore[union-attr]
        r"always saying ([\d.]+) % scores ([\d.]+) in 2020", PAGE
    ).groups()
    targets = [1] * 584 + [0] * (33_126 - 584)
    assert brier_score(targets, [float(share) / 100] * len(targets)) == pytest.approx(
        float(score), abs=5e-5
    )


@pytest.mark.long
def test_how_much_an_epoch_of_ones_own_flatters(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "path", [str(ROOT / "benchmarks"), *sys.path])
    benchmark = importlib.import_module("trust_epochs")
    rows = table_below("Which epoch")
    assert len(rows) == len(benchmark.SIZES)
    for size, (name, *cells) in zip(benchmark.SIZES, rows):
        assert [number(cell) for cell in name.split(", ")] == list(benchmark.SIZES[size][:2])
        measured = benchmark.measure_flattery(size, "to zero", 300, 300)
        for (_, bias, covered), cell in zip(measured.values(), cells):
            written_bias, written_coverage = cell.split(", ")
            assert number(written_bias) == pytest.approx(bias, abs=6e-5)
            assert number(written_coverage) == round(100 * covered)
