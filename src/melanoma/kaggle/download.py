"""Bringing home what a kernel has left: its run, the folds it was trained on, its log."""

import re
import shutil
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

from melanoma.ensemble.outputs import DESCRIPTION_JSON
from melanoma.errors import ConfigError, name_some
from melanoma.files import read_object, sha256_of, write_bytes, write_json, write_text
from melanoma.folds.files import copy_folds
from melanoma.kaggle.client import Client, Output, page_of
from melanoma.kaggle.failures import KaggleError, UnreachableError
from melanoma.kaggle.follow import Say, read_log, say_now
from melanoma.kaggle.job import COMPETITION
from melanoma.kaggle.outputs import take_run
from melanoma.run_folder import RunFolder
from melanoma.run_tables import find_folds_csv
from melanoma.verification.blends import inputs_at

# What tells of which run the other files are: fetched whatever is left out, as the folds are.
_HEADS = ("config.yaml", "tables.json", "run.json", "done.json", DESCRIPTION_JSON)
# Addresses of files expire, and a list has fresh ones.
_LISTINGS = 3
# In the folder of what is on its way: the address that each file came from, without its signature.
_FETCHED = "fetched.json"


@dataclass(frozen=True)
class Home:
    """Where what a kernel has left belongs on this machine.

    Attributes:
        run_dir: Of the run.
        data_dir: The competition folder.
        folds_csv: The fold file, if it is there.
    """

    run_dir: Path
    data_dir: Path = Path("input") / COMPETITION
    folds_csv: Path = Path("folds/folds.csv")


def bring_home(
    kaggle: Client,
    ref: str,
    home: Home,
    files: str = "",
    is_part: bool = False,
    say: Say = say_now,
) -> tuple[str, ...]:
    """Fetch what a kernel has left of a run, as if it had been trained here.

    The log comes first, to `logs/<slug>.log` of the run, and is kept whatever the kernel has left
    besides. The fold file stays with the run, in its folder `folds`, unless the one of this machine
    is the same; config.yaml names the one that is meant. The kernel's submission is taken with it
    where it is of the very folds that are here then.

    Args:
        kaggle: As `client.connect` gives it.
        ref: Of the kernel, `owner/slug`.
        home: Where things belong. What the run holds already is kept, unless the kernel got further.
        files: Regular expression that is searched for in the name of each file of a fold or blend;
            what does not fit stays at Kaggle. Empty for all.
        is_part: Whether other kernels train other folds of the run: then what the kernel has blended
            is left behind.
        say: Shows a line for each file.

    Returns:
        The names of files that were left at Kaggle, as `files` asks.

    Raises:
        ConfigError: If `files` is no regular expression, or another blend would be lost.
        KaggleError: If the kernel has left no run, or Kaggle cannot be reached; files that are
            whole by then are kept beside the run, for the next call.
        RunError: If what the kernel has left is of another run.
        MelanomaError: If something cannot be written.
    """
    slug = ref.rpartition("/")[2]
    _keep_log(kaggle, ref, home.run_dir / "logs" / f"{slug}.log", say)
    scratch = home.run_dir.parent / f".download-{home.run_dir.name}-{slug}"
    left_out = fetch_outputs(kaggle, ref, scratch, files, say)
    folders = sorted(path for path in (scratch / "runs").iterdir() if path.is_dir())
    for folder in folders:
        if (folder / "config.yaml").is_file():
            run = take_run([folder], home.run_dir, home.data_dir, _folds_csv(folder, scratch, home))
            if not is_part:
                _take_blend_of(run, folder)
        else:
            _copy_blend(folder, home.run_dir)
    shutil.rmtree(scratch)
    return left_out


def fetch_outputs(
    kaggle: Client, ref: str, into: Path, files: str = "", say: Say = say_now
) -> tuple[str, ...]:
    """Download the files of a run that a kernel has left, in the folders that they are in.

    A file that cannot be had is asked for again with a fresh list, whose addresses have not expired.
    What is whole stays where it is, and the next call leaves it alone.

    Args:
        kaggle: As `client.connect` gives it.
        ref: `owner/slug`.
        into: Folder; made where it is missing.
        files: As for `bring_home`.
        say: Shows a line for each file.

    Returns:
        The names of the files that were left out.

    Raises:
        ConfigError: If `files` is no regular expression.
        KaggleError: If there is no such file, a name leaves the folder, or one cannot be had.
        MelanomaError: If a file cannot be written.
    """
    try:
        fits = re.compile(files).search
    except re.error as error:
        raise ConfigError(f"--files {files}: no regular expression ({error}).") from error
    fetched: dict[str, str] = read_object(into / _FETCHED)
    failure: KaggleError | None = None
    for _ in range(_LISTINGS):
        listed = kaggle.outputs(ref)
        places = {output: _place(into, output, ref) for output in listed}
        of_run = [output for output in listed if _is_of_a_run(output.name)]
        wanted = [output for output in of_run if fits(output.name) or _is_head(output.name)]
        if not any(output.name.startswith("runs/") for output in wanted):
            left = name_some(output.name for output in listed) if listed else "nothing"
            raise KaggleError(
                f"{ref}: has left no run, but {left}. Its log says why; it is at {page_of(ref)}, too."
            )
        failure = None
        for number, output in enumerate(wanted, 1):
            if fetched.get(output.name) == output.origin and places[output].is_file():
                continue
            say(f"{number}/{len(wanted)} {output.name}")
            try:
                kaggle.fetch(output, places[output])
            except UnreachableError as error:
                raise UnreachableError(_kept(error, into, fetched)) from error
            except KaggleError as error:
                failure = error
                continue
            fetched[output.name] = output.origin
            write_json(into / _FETCHED, fetched)
        if failure is None:
            return tuple(output.name for output in of_run if output not in wanted)
    raise KaggleError(_kept(failure, into, fetched)) from failure


def _kept(error: KaggleError | None, into: Path, fetched: dict[str, str]) -> str:
    if not fetched:
        return str(error)
    return (
        f"{error} {len(fetched)} file(s) are whole and stay in {into}: the same call goes on there."
    )


def _is_of_a_run(name: str) -> bool:
    """Whatever else lies in the working folder is no part of a run; locks are of their machine."""
    top, *inner = PurePosixPath(name).parts
    return top in ("runs", "folds") and not any(part.startswith(".") for part in inner)


def _is_head(name: str) -> bool:
    path = PurePosixPath(name)
    return path.name in _HEADS or path.parts[0] == "folds"


def _keep_log(kaggle: Client, ref: str, path: Path, say: Say) -> None:
    try:
        log = read_log(kaggle, ref)
    except KaggleError as error:
        say(f"The log is not kept: {error}")
        return
    say(f"log: {write_text(path, log)}")


def _folds_csv(run_dir: Path, outputs: Path, home: Home) -> Path:
    """The fold file for config.yaml: that of this machine, or the one that came with the run."""
    candidates = [home.folds_csv, *sorted((outputs / "folds").glob("*.csv"))]
    found = find_folds_csv(RunFolder(run_dir).tables_json, candidates)
    if found is None or found == home.folds_csv:
        return home.folds_csv
    return copy_folds(found, home.run_dir / "folds")


def _take_blend_of(run: RunFolder, folder: Path) -> None:
    """Take over what a kernel has blended of the very folds that the run has now.

    It replaces a blend of fewer folds; one of the same, which was made here meanwhile, stays.
    """
    blended, before = (read_object(place / DESCRIPTION_JSON) for place in (folder, run.path))
    if blended.get("folds") != run.finished_folds() or before.get("folds") == blended["folds"]:
        return
    _copy_blend(folder, run.path, is_replaced=bool(before))
    write_json(run.path / DESCRIPTION_JSON, _at_home(blended, run.path))


def _at_home(blended: dict[str, Any], run_dir: Path) -> dict[str, Any]:
    """The description of a blend, with the run where it is now: the same command makes it again."""
    if len(blended.get("options", {}).get("run_dir", ())) != 1:
        return blended
    inputs = {str(path): sha256 for path, sha256 in inputs_at(blended, run_dir).items()}
    options = blended["options"] | {"run_dir": [str(run_dir)]}
    return blended | {"options": options, "inputs": inputs}


def _copy_blend(folder: Path, run_dir: Path, is_replaced: bool = False) -> None:
    """Copy what blending has left: files of one folder, its description last."""
    heads = RunFolder(folder).heads
    files = sorted(path for path in folder.iterdir() if path.is_file() and path not in heads)
    files.sort(key=lambda path: path.name == DESCRIPTION_JSON)
    differing = [
        run_dir / path.name
        for path in files
        if (run_dir / path.name).exists() and sha256_of(run_dir / path.name) != sha256_of(path)
    ]
    if differing and not is_replaced:
        raise ConfigError(
            f"{name_some(differing)} would be lost: of another blend. Choose another --run-dir."
        )
    for path in files:
        write_bytes(run_dir / path.name, path.read_bytes())


def _place(into: Path, output: Output, ref: str) -> Path:
    """Where a file is put: its name is Kaggle's, and must not lead out of the folder."""
    name = PurePosixPath(output.name)
    if name.is_absolute() or ".." in name.parts or "\\" in output.name or ":" in output.name:
        raise KaggleError(
            f"{ref}: the name of its output {output.name!r} leads out of the folder {into}. Nothing "
            "was downloaded; take the other files from its page."
        )
    return into / name
