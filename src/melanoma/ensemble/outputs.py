"""Writing what was built, and never over something else."""

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from melanoma.errors import ConfigError, name_some
from melanoma.files import read_object, sha256_of, write_bytes, write_text

OOF_CSV = "oof.csv"
SUBMISSION_CSV = "submission.csv"
COMPARISONS_CSV = "comparisons.csv"
SHIFT_PNG = "shift.png"
DESCRIPTION_JSON = "submission.json"

# Not always written: those of an earlier blend must not stay beside a later one's.
_SOMETIMES = (SUBMISSION_CSV, COMPARISONS_CSV, SHIFT_PNG)
_REMEDY = "Choose another --out-dir, or replace it with --overwrite."


def check_out_dir(out_dir: Path, options: dict[str, Any], overwrite: bool) -> None:
    """Check, before anything is computed, that a folder does not hold another blend.

    Raises:
        ConfigError: If it does.
    """
    earlier = _read_description(out_dir)
    if earlier and not overwrite and not _same_command(earlier, options):
        was = earlier["options"]
        of = name_some([*was["run_dir"], *was["oof"], *was["submissions"]])
        raise ConfigError(
            f"{out_dir / DESCRIPTION_JSON} describes another blend: {was['method']} of {of}. {_REMEDY}"
        )


def write_outputs(
    out_dir: Path,
    contents: Mapping[str, bytes],
    description: dict[str, Any],
    overwrite: bool = False,
) -> None:
    """Write all files, or none where one would replace what this command did not make.

    The same command may be repeated, also after its runs have been trained on: files that are still
    as it left them are replaced. What `submission.json` says of them tells.

    Args:
        out_dir: Made where it is missing.
        contents: By file name.
        description: For `submission.json`: JSON, with the `options` of the command; the SHA-256 of
            the contents are added as `outputs`.
        overwrite: Replace whatever is there.

    Raises:
        ConfigError: Naming the files that are in the way.
        MelanomaError: If a file cannot be written.
    """
    outputs = {name: hashlib.sha256(content).hexdigest() for name, content in contents.items()}
    earlier = _read_description(out_dir)
    ours = earlier["outputs"] if earlier and _same_command(earlier, description["options"]) else {}
    in_the_way = [
        out_dir / name
        for name, content in outputs.items()
        if (out_dir / name).exists()
        and not _holds(out_dir / name, content)
        and not _holds(out_dir / name, ours.get(name))
    ]
    if (out_dir / DESCRIPTION_JSON).exists() and not earlier:
        in_the_way.append(out_dir / DESCRIPTION_JSON)
    if in_the_way and not overwrite:
        raise ConfigError(
            f"{name_some(in_the_way)} would be lost: not made by this very command, or changed since. "
            f"{_REMEDY}"
        )
    for name, content in contents.items():
        write_bytes(out_dir / name, content)
    for name in _SOMETIMES:
        if name not in contents and _holds(out_dir / name, earlier.get("outputs", {}).get(name)):
            (out_dir / name).unlink()
    text = json.dumps(description | {"outputs": outputs}, indent=2, allow_nan=False)
    write_text(out_dir / DESCRIPTION_JSON, text + "\n")


def _same_command(earlier: dict[str, Any], options: dict[str, Any]) -> bool:
    return _resolved(earlier["options"]) == _resolved(options)


def _resolved(options: dict[str, Any]) -> dict[str, Any]:
    paths = {
        name: [str(Path(path).resolve()) for path in options[name]]
        for name in ("run_dir", "oof", "submissions")
    }
    return options | paths


def _holds(path: Path, content_sha256: str | None) -> bool:
    return path.is_file() and sha256_of(path) == content_sha256


def _read_description(out_dir: Path) -> dict[str, Any]:
    """What an earlier blend left; empty where there is none, or another kind of file."""
    content = read_object(out_dir / DESCRIPTION_JSON)
    try:
        _resolved(content["options"])
        dict(content["outputs"])
    except (ValueError, KeyError, TypeError):
        return {}
    return content
