"""The essentials of a report for a terminal."""

from collections.abc import Sequence
from pathlib import Path

from melanoma.ensemble.review import is_leak
from melanoma.ensemble.table import table_as_text
from melanoma.ensemble.text import calibration_as_text, wrap
from melanoma.report.findings import find
from melanoma.report.folds import fold_table
from melanoma.report.headline import tiles
from melanoma.report.parts import Table
from melanoma.report.reading import Material, read_material


def report_text(run_dir: Sequence[Path], data_dir: Path | None = None) -> str:
    """The headline, the folds, the ensembler's table of several runs, and what stands out.

    Args:
        run_dir: As `build_report`.
        data_dir: As `build_report`.

    Raises:
        ConfigError, RunError, TableError: As `build_report`.
    """
    material = read_material(run_dir, data_dir)
    parts = [headline_text(material), fold_table(material).as_text()]
    if len(material.runs) > 1:
        parts.append(table_as_text(material.blended.rows, material.folds))
        parts.append(calibration_as_text(material.blended.rows))
    parts.append("\n".join(wrap(f"- {finding.text}") for finding in find(material, [], None)))
    return "\n\n".join(part for part in parts if part)


def headline_text(material: Material) -> str:
    """The headline, a line per number."""
    lines = [[tile.title, tile.value, tile.more] for tile in tiles(material)]
    width = max(len(line[0]) for line in lines)
    values = max(len(line[1]) for line in lines)
    shown = (f"{title:<{width}}  {value:>{values}}  {more}" for title, value, more in lines)
    return "\n".join([material.title, *shown])


def closing_table(material: Material) -> str:
    """What training ends with: a line per fold, and one of all together."""
    folds = fold_table(material)
    row, targets = material.row, material.predictions.targets
    n_patients = len(set(material.predictions.patients.tolist()))
    whole = ["all", f"{len(targets):,}", f"{n_patients:,}", f"{int(targets.sum()):,}"]
    whole += [f"{100 * float(targets.mean()):.2f} %", f"{row.pooled_auc:.4f}"]
    whole += [""] * (len(folds.head) - len(whole))
    table = Table(folds.caption, folds.head, [*folds.rows, whole]).as_text()
    leaks = [line for line in material.review.warnings if is_leak(line)]
    interval = f"95 % interval of the pooled AUC: {row.low:.4f} to {row.high:.4f}"
    notes = [wrap(note) for note in material.blended.notes]
    return "\n".join([table, interval, *notes, *(f"warning: {line}" for line in leaks)])
