"""Scores of predictions, and how sure they are: pure functions of arrays.

A score is higher-is-better, an error lower-is-better. Wrong input is a programming error here and
raises `ValueError`; what users bring is checked before.
"""

from melanoma.metrics.bootstrap import PatientBootstrap
from melanoma.metrics.calibration import brier_score, calibration_error
from melanoma.metrics.curves import auc, average_precision, sensitivity_at_specificity
from melanoma.metrics.delong import DeLongTest, delong_test, delong_variance
from melanoma.metrics.intervals import Interval, PairedDifference
from melanoma.metrics.ranks import average_ranks, rank_within, spearman_matrix

__all__ = [
    "DeLongTest",
    "Interval",
    "PairedDifference",
    "PatientBootstrap",
    "auc",
    "average_precision",
    "average_ranks",
    "brier_score",
    "calibration_error",
    "delong_test",
    "delong_variance",
    "rank_within",
    "sensitivity_at_specificity",
    "spearman_matrix",
]
