"""What stands out: is the score real, where does the model fail, what to do next."""

from collections.abc import Iterator, Sequence

import pandas as pd

from melanoma.ensemble.review import is_leak
from melanoma.ensemble.table import p_as_text
from melanoma.report.alarms import FOLD_LEVEL, GROUP_LEVEL, compare_folds
from melanoma.report.costs import FoldCost, fold_costs
from melanoma.report.groups import Group
from melanoma.report.parts import Finding
from melanoma.report.reading import Material

# Of the pooled AUC: what calibration among folds takes away, and an interval that says little.
_MUCH_LOST = 0.01
_WIDE = 0.1


def find(material: Material, groups: Sequence[Group], pairs: pd.DataFrame | None) -> list[Finding]:
    """What a reader should know first, warnings before the rest.

    Args:
        material: What is reported on.
        groups: Scored.
        pairs: Near-identical ones of different classes or folds; None where nobody has looked.
    """
    found = [
        *(Finding(note, "folds", True) for note in material.missing.of("folds")),
        *(Finding(warning, _section_of(warning), True) for warning in material.review.warnings),
        *_of_chosen_epochs(material),
        *_of_folds(material),
        *_of_weak_folds(material),
        *_of_epochs(material),
        *_of_groups(groups),
        *_of_pairs(pairs),
    ]
    return sorted(found, key=lambda finding: not finding.is_warning)


def _section_of(warning: str) -> str:
    return "folds" if is_leak(warning) else "scores"


def _of_chosen_epochs(material: Material) -> Iterator[Finding]:
    row, oof = material.row, material.blended.oof
    if row.is_flattered:
        yield Finding(
            "The scores are flattering: each fold predicts from the epoch that scores best on these "
            "very images, and what the other folds would have chosen is not known. Train with "
            "--predict-from last.",
            "runs",
            True,
        )
    # Of several views only the scores can be corrected, not the predictions.
    elif row.own_epoch_auc not in (None, row.pooled_auc) and (material.scores == oof).all():
        yield Finding(
            "Curves, groups and thresholds are of the predictions as they are, at each fold's own best "
            f"epoch: {row.own_epoch_auc:.4f}, which flatters. The AUC above is corrected for it.",
            "runs",
            True,
        )


def _of_folds(material: Material) -> Iterator[Finding]:
    row, n_melanomas = material.row, int(material.predictions.targets.sum())
    if row.high - row.low > _WIDE:
        yield Finding(
            f"The interval is wide, {row.low:.2f} to {row.high:.2f}: with {n_melanomas} melanomas, "
            "small improvements cannot be told from luck. Compare runs by paired differences, not "
            "by their scores.",
            "runs",
        )
    if row.rank_auc - row.pooled_auc > _MUCH_LOST:
        yield Finding(
            f"The folds' networks are not calibrated alike: pooled {row.pooled_auc:.4f}, but "
            f"{row.rank_auc:.4f} if each fold is ranked by itself. A mean of ranks "
            "(build_submission.py --method rank) may do better on the test set.",
            "calibration",
            True,
        )


def _of_weak_folds(material: Material) -> Iterator[Finding]:
    given = material.predictions
    tests = compare_folds(given.targets, material.scores, given.folds, given.patients)
    for test in tests:
        if test.p_value <= FOLD_LEVEL:
            n_melanomas = int(given.targets[given.folds == test.part].sum())
            yield Finding(
                f"Fold {test.part} scores {test.auc:.4f}, the other folds {test.others:.4f}: with "
                f"{n_melanomas} melanomas in it, this is more than chance "
                f"({p_as_text(test.p_value, len(tests), 'folds')}). Look at its learning curve first: "
                "was it still learning?",
                "learning",
            )


def _of_epochs(material: Material) -> Iterator[Finding]:
    for run, name in zip(material.runs, material.predictions.names):
        costs = [cost for cost in fold_costs(run) if cost.best_epoch and cost.n_epochs]
        last = [cost.fold for cost in costs if cost.best_epoch == cost.n_epochs]
        early = [cost.fold for cost in costs if _is_early(cost)]
        if len(costs) > 1 and 2 * len(last) > len(costs):
            yield Finding(
                f"{name}: in {len(last)} of {len(costs)} folds the last epoch was the best: it was "
                "still learning. Try more epochs.",
                "learning",
            )
        if len(costs) > 1 and 2 * len(early) > len(costs):
            yield Finding(
                f"{name}: in {len(early)} of {len(costs)} folds the best epoch came in the first "
                "half: later ones only learnt by heart. Try a lower learning rate, stronger "
                "augmentation, or fewer epochs.",
                "learning",
            )


def _is_early(cost: FoldCost) -> bool:
    return (cost.best_epoch or 0) <= (cost.n_epochs or 0) / 2 and (cost.n_epochs or 0) >= 4


def _of_groups(groups: Sequence[Group]) -> Iterator[Finding]:
    n_tests = sum(group.p_value is not None for group in groups)
    for group in groups:
        if group.p_value is not None and group.p_value <= GROUP_LEVEL:
            yield Finding(
                f"The group {group.title} scores {group.auc:.4f}, the other groups of its kind "
                f"{group.others:.4f}: with {group.melanomas} melanomas in it, this is more than chance "
                f"({p_as_text(group.p_value, n_tests, 'groups')}). Look at its photographs, and "
                "whether more of them can be had.",
                "groups",
            )


def _of_pairs(pairs: pd.DataFrame | None) -> Iterator[Finding]:
    if pairs is None or pairs.empty:
        return
    across = int((pairs["target_1"] != pairs["target_2"]).sum())
    leaks = int((pairs["fold_1"] != pairs["fold_2"]).sum())
    if across:
        yield Finding(
            f"{across} pairs of nearly identical photographs have different labels. Check them.",
            "duplicates",
        )
    if leaks:
        yield Finding(
            f"{leaks} pairs of nearly identical photographs are in different folds, which flatters "
            "the score. Make folds with scripts/create_folds.py --find-duplicates.",
            "duplicates",
            True,
        )
