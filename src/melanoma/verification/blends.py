"""Checking the blend in a run folder: oof.csv and submission.csv against submission.json."""

from pathlib import Path
from typing import Any

from melanoma.errors import MelanomaError, name_some
from melanoma.files import read_object, sha256_of
from melanoma.run_folder import RunFolder
from melanoma.tables import (
    IMAGE_NAME,
    OOF_COLUMNS,
    SUBMISSION_COLUMNS,
    TARGET,
    check_image_names,
    check_probabilities,
    read_sample_submission,
    read_table,
)
from melanoma.verification.findings import Finding
from melanoma.verification.folds import verify_file, verify_table

_REBUILD = "Run scripts/build_submission.py again."


def verify_blend(run: RunFolder, data_dir: Path) -> list[Finding]:
    """Check oof.csv and submission.csv against what submission.json says of them."""
    path = run.path / "submission.json"
    if not path.exists():
        return []
    description = read_object(path)
    outputs, inputs = description.get("outputs"), description.get("inputs")
    if not isinstance(outputs, dict) or not isinstance(inputs, dict):
        return [Finding(path, "not readable as the description of a blend", _REBUILD)]
    made = {run.path / Path(name).name: sha256 for name, sha256 in outputs.items()}
    findings = [
        finding
        for output, sha256 in made.items()
        for finding in verify_file(output, sha256, path.name, _REBUILD)
    ]
    read = inputs_at(description, run.path)
    changed = [
        path for path, sha256 in read.items() if path.is_file() and sha256_of(path) != sha256
    ]
    if changed:
        problem = f"{name_some(changed)} changed after it was blended"
        findings.append(Finding(run.submission_csv, problem, _REBUILD))
    if run.oof_csv.is_file():
        findings += verify_table(run.oof_csv, OOF_COLUMNS)
    return findings + _verify_submission(run.submission_csv, data_dir)


def inputs_at(description: dict[str, Any], run_dir: Path) -> dict[Path, str]:
    """What a blend was made of, with its checksums; what is of this run is in its folder.

    Args:
        description: The content of submission.json, which has paths as they were typed.
        run_dir: Where the run is by now.
    """
    options = description.get("options")
    given = options.get("run_dir") if isinstance(options, dict) else None
    written_as = Path(str(given[0])) if isinstance(given, list) and len(given) == 1 else run_dir
    paths = ((Path(name), sha256) for name, sha256 in description["inputs"].items())
    return {
        run_dir / path.relative_to(written_as) if path.is_relative_to(written_as) else path: sha256
        for path, sha256 in paths
    }


def _verify_submission(path: Path, data_dir: Path) -> list[Finding]:
    if not path.is_file():
        return []
    try:
        table = read_table(path, SUBMISSION_COLUMNS)
        check_image_names(table, path)
        check_probabilities(table, TARGET, path, _REBUILD)
        form = read_sample_submission(data_dir)
    except MelanomaError as error:
        return [Finding.of_error(path, error)]
    if form is not None and form[IMAGE_NAME].tolist() != table[IMAGE_NAME].tolist():
        return [Finding(path, "not the ids of sample_submission.csv in its order", _REBUILD)]
    return []
