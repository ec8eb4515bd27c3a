"""From run folders to a report."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import melanoma
from melanoma.errors import ConfigError
from melanoma.files import write_text
from melanoma.report.calibration import calibration
from melanoma.report.comparison import comparison
from melanoma.report.discrimination import discrimination
from melanoma.report.distributions import distributions
from melanoma.report.duplicates import duplicates_section, find_doubtful_pairs
from melanoma.report.findings import find
from melanoma.report.folds import folds_section
from melanoma.report.groups import Group, factors_to_show, groups_section, score_groups
from melanoma.report.headline import tiles
from melanoma.report.learning import learning
from melanoma.report.page import Page, render
from melanoma.report.photographs import make_album
from melanoma.report.provenance import provenance
from melanoma.report.reading import Material, default_output, read_material
from melanoma.report.sizes import photograph_sizes
from melanoma.report.threshold import threshold_section
from melanoma.report.thresholds import confusions


def build_report(
    run_dir: Sequence[Path],
    output: Path | None = None,
    data_dir: Path | None = None,
    grad_cam: bool = True,
) -> Path:
    """Write what runs have come to as one HTML file, which opens without a network.

    What is missing (folds, metadata, test predictions, photographs, checkpoints) is left out, and
    the report says so. Its numbers are those of scripts/build_submission.py.

    Args:
        run_dir: Folders that scripts/train_folds.py wrote; several are blended and compared.
        output: The .html file; by default report.html in the folder of an only run, else in
            runs/blend. An earlier report is replaced.
        data_dir: The competition folder; by default where the run's configuration says it was.
        grad_cam: Whether the fold's network shows where it looked, on the few photographs shown.

    Raises:
        ConfigError: If no run is given, one twice, or the output is no .html file.
        RunError: If a folder is no run, or has no finished fold.
        TableError: If tables contradict each other.
    """
    path = output or default_output(run_dir)
    if path.suffix != ".html":
        raise ConfigError(f"--output {path}: a report is an .html file. Give such a name.")
    material = read_material(run_dir, data_dir)
    return write_text(path, render(make_page(material, grad_cam)))


def make_page(material: Material, grad_cam: bool) -> Page:
    """All that the report shows.

    Args:
        material: What is reported on.
        grad_cam: As `build_report`.
    """
    given, rows, scores = material.predictions, material.rows, material.scores
    stops = confusions(given.targets, scores)
    sizes = photograph_sizes(rows, material.data_dir, material.prefer_suffix)
    factors = factors_to_show(rows, sizes)
    groups = score_groups(factors, given.targets, scores, given.patients)
    pairs, origin = find_doubtful_pairs(
        rows, material.data_dir, material.folds_csv, material.prefer_suffix
    )
    unknown_sizes = ["the sizes of the photographs are not known: they are not here."]
    sections = [
        *([comparison(material)] if len(material.runs) > 1 else []),
        folds_section(material),
        learning(material),
        discrimination(material),
        threshold_section(stops),
        distributions(material),
        calibration(material),
        groups_section(material, groups, unknown_sizes if sizes is None else []),
        duplicates_section(pairs, origin, rows, scores),
        *([comparison(material)] if len(material.runs) == 1 else []),
        provenance(material),
    ]
    return Page(
        material.title,
        melanoma.__version__,
        tiles(material),
        find(material, groups, pairs),
        sections,
        make_album(material, stops.threshold, grad_cam),
        stops,
        _figures(material, groups),
    )


def _figures(material: Material, groups: Sequence[Group]) -> dict[str, Any]:
    """The numbers to the last digit, under the names of submission.json."""
    blended, names = material.blended, material.predictions.names
    return {
        "runs": names,
        "folds": material.folds,
        "method": blended.method,
        "chosen": material.row.as_dict(),
        "rows": [row.as_dict() for row in blended.rows],
        "weights": dict(zip(names, blended.blend.weights)),
        "correlations": blended.correlations,
        "leave_one_out": blended.without.to_dict(orient="records"),
        "groups": [group.as_dict() for group in groups],
    }
