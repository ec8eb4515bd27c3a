"""The first thing one sees: the score, how sure it is, and what it has cost."""

from dataclasses import dataclass

from melanoma.ensemble.table import Row
from melanoma.report.costs import total_seconds
from melanoma.report.reading import Material
from melanoma.report.words import count, duration, interval, percent


@dataclass(frozen=True)
class Tile:
    """A number and its meaning.

    Attributes:
        title: What it is.
        value: The number.
        more: Beside it.
    """

    title: str
    value: str
    more: str


def tiles(material: Material) -> list[Tile]:
    """The score first."""
    row, given = material.row, material.predictions
    n_patients = len(set(given.patients.tolist()))
    melanomas = int(given.targets.sum())
    done, known = len(material.folds), len(material.known_folds)
    seconds = total_seconds(material.runs)
    flattering = ", flattering: own best epochs" if row.is_flattered else ""
    return [
        Tile(
            "AUC, pooled",
            f"{row.pooled_auc:.4f}",
            f"95 % interval {interval(row.low, row.high)}{flattering}",
        ),
        *_own_epochs(row),
        Tile("AUC, mean of folds", f"{row.mean_auc:.4f}", f"folds ranked alone {row.rank_auc:.4f}"),
        Tile(
            "Sensitivity",
            percent(row.sensitivity),
            f"at 90 % specificity; average precision {row.average_precision:.4f}",
        ),
        Tile(
            "Images",
            f"{len(given.targets):,}",
            f"{count(melanomas, 'melanoma')}, {count(n_patients, 'patient')}",
        ),
        Tile("Folds", f"{done} of {max(done, known)}", "finished"),
        Tile("Time", duration(seconds), f"training, the times of {_fold_count(material)} added up"),
    ]


def _own_epochs(row: Row) -> list[Tile]:
    if row.own_epoch_auc is None:
        return []
    more = "flattering: each fold chose its epoch by these images"
    return [Tile("AUC, own best epochs", f"{row.own_epoch_auc:.4f}", more)]


def _fold_count(material: Material) -> str:
    return count(sum(len(run.finished_folds()) for run in material.runs), "fold")
