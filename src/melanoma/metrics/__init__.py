"""Scores of predictions, and how sure they are: pure functions of arrays.

A score is higher-is-better, an error lower-is-better. Wrong input is a programming error here and
raises `ValueError`; what users bring is checked before.
"""

from melanoma.metrics.bootstrap import PatientBootstrap
from melanoma.metrics.calibration import (
    CalibratedError,
    brier_score,
    calibrated_error,
    calibration_error,
)
from melanoma.metrics.clusters import cluster_variance
from melanoma.metrics.curves import auc, average_precision, sensitivity_at_specificity
from melanoma.metrics.delong import DeLongTest, delong_test, delong_variance
from melanoma.metrics.intervals import Interval, PairedDifference
from melanoma.metrics.kolmogorov import ks_distance, ks_p_value
from melanoma.metrics.parts import PartTest, compare_parts
from melanoma.metrics.ranks import average_ranks, rank_within, spearman_matrix
from melanoma.metrics.significance import holm

__all__ = [
    "CalibratedError",
    "DeLongTest",
    "Interval",
    "PairedDifference",
    "PartTest",
    "PatientBootstrap",
    "auc",
    "average_precision",
    "average_ranks",
    "brier_score",
    "calibrated_error",
    "calibration_error",
    "cluster_variance",
    "compare_parts",
    "delong_test",
    "delong_variance",
    "holm",
    "ks_distance",
    "ks_p_value",
    "rank_within",
    "sensitivity_at_specificity",
    "spearman_matrix",
]
