"""Bringing home what a kernel has left."""

import re
import shutil
import tempfile
from collections.abc import Iterable
from functools import partial
from pathlib import Path, PurePosixPath

from melanoma.errors import ConfigError, name_some
from melanoma.files import sha256_of, write_atomically
from melanoma.kaggle.failures import KaggleError
from melanoma.kaggle.follow import Say, say_now
from melanoma.kaggle.outputs import take_run
from melanoma.kaggle.push import page_of
from melanoma.kaggle.service import Kaggle, Output

# Whatever else lies in the working folder is no part of a run.
RUNS = "^runs/"
_BLEND = "submission.json"


def download(
    kaggle: Kaggle, ref: str, into: Path, pattern: str = RUNS, say: Say = say_now
) -> list[Path]:
    """Download the files that a kernel has left, in the folders that they are in.

    Args:
        kaggle: As `connection.connect` gives it.
        ref: `owner/slug`.
        into: Folder; made where it is missing. Files in it are replaced.
        pattern: Regular expression that is searched for in each name; by default, of a run.
        say: Shows a line for each file.

    Raises:
        ConfigError: If the pattern is none.
        KaggleError: If there is no such file, a name leaves the folder, or Kaggle cannot be reached.
        MelanomaError: If a file cannot be written.
    """
    try:
        wanted = re.compile(pattern)
    except re.error as error:
        raise ConfigError(f"file pattern {pattern!r}: no regular expression ({error}).") from error
    outputs = kaggle.outputs(ref)
    places = {output: _place(into, output, ref) for output in outputs if wanted.search(output.name)}
    if not places:
        left = name_some(output.name for output in outputs) if outputs else "nothing"
        raise KaggleError(
            f"{ref}: has left no file that fits {pattern!r}, but {left}. Its log says why: "
            f"{page_of(ref)}"
        )
    for number, (output, place) in enumerate(places.items(), 1):
        say(f"{number}/{len(places)} {output.name}")
        kaggle.fetch(output, place)
    return list(places.values())


def download_run(
    kaggle: Kaggle,
    refs: Iterable[str],
    run_dir: Path,
    data_dir: Path | None = None,
    folds_csv: Path | None = None,
    say: Say = say_now,
) -> Path:
    """Put a run together of what kernels have left of it, as if it had been trained here.

    Args:
        kaggle: As `connection.connect` gives it.
        refs: Kernels, `owner/slug`, of one run.
        run_dir: Where the run is to be; what it holds already is kept, unless a kernel got further.
        data_dir: The competition folder of this machine, for config.yaml.
        folds_csv: The fold file of this machine, likewise.
        say: Shows a line for each file.

    Returns:
        `run_dir`; `verification.runs.verify_run` says whether all is whole.

    Raises:
        KaggleError: If a kernel has left no run, or Kaggle cannot be reached.
        RunError: If what they have left is not of one run.
        MelanomaError: If something cannot be written.
    """
    run_dir.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=".download-", dir=run_dir.parent) as scratch:
        folders: list[Path] = []
        for number, ref in enumerate(refs):
            into = Path(scratch) / str(number)
            download(kaggle, ref, into, say=say)
            folders += sorted(path for path in (into / "runs").iterdir() if path.is_dir())
        trained = [folder for folder in folders if (folder / "config.yaml").is_file()]
        blends = [folder for folder in folders if folder not in trained]
        if trained:
            take_run(trained, run_dir, data_dir, folds_csv)
        for folder in blends:
            _take_blend(folder, run_dir)
    return run_dir


def _take_blend(folder: Path, run_dir: Path) -> None:
    """Copy what blending has left: files of one folder, its description last."""
    files = sorted(path for path in folder.iterdir() if path.is_file())
    files.sort(key=lambda path: path.name == _BLEND)
    differing = [
        run_dir / path.name
        for path in files
        if (run_dir / path.name).exists() and sha256_of(run_dir / path.name) != sha256_of(path)
    ]
    if differing:
        raise ConfigError(
            f"{name_some(differing)} would be lost: of another blend. Choose another --run-dir."
        )
    for path in files:
        write_atomically(run_dir / path.name, partial(_copy, path))


def _copy(source: Path, target: Path) -> None:
    shutil.copyfile(source, target)


def _place(into: Path, output: Output, ref: str) -> Path:
    """Where a file is put: its name is Kaggle's, and must not lead out of the folder."""
    name = PurePosixPath(output.name)
    if name.is_absolute() or ".." in name.parts or "\\" in output.name or ":" in output.name:
        raise KaggleError(
            f"{ref}: the name of its output {output.name!r} leads out of the folder {into}. Nothing "
            "was downloaded; take the other files from its page."
        )
    return into / name
