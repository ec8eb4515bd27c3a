"""Taking over what kernels have left of a run: put together from its parts, and made at home."""

import shutil
from collections.abc import Collection, Iterator, Sequence
from pathlib import Path
from typing import Any

import yaml

from melanoma.errors import RunError, name_some
from melanoma.files import read_object, sha256_of, write_json, write_text, writing_explained
from melanoma.run_folder import FoldFolder, RunFolder, differing_settings
from melanoma.run_locks import hold_folds

# Of a fold, what prediction and blends can do without.
_STATES = ("*.ckpt", "top", "tensorboard")


def take_run(
    sources: Sequence[Path],
    run_dir: Path,
    data_dir: Path | None = None,
    folds_csv: Path | None = None,
    folds: Collection[int] | None = None,
    checkpoints: bool = True,
) -> RunFolder:
    """Make one run folder of folders that hold parts of it, such as a fold each.

    Each fold comes from where it is furthest: finished before unfinished, with test predictions
    before without, after more epochs before fewer. What `run_dir` holds is one of the sources, so
    that the same call may be repeated; it is replaced only by what is further. A fold is copied
    beside its place and renamed, so that an interruption loses nothing. Blends (`submission.csv` and
    `oof.csv` of the run) are left behind: they belong to the folds that they were made of.

    Args:
        sources: Run folders; may be read-only.
        run_dir: Where the run is to be.
        data_dir: The competition folder of this machine, for config.yaml; None to leave it.
        folds_csv: The fold file of this machine, likewise.
        folds: Which to take; None for all.
        checkpoints: Whether networks are taken too, and not only what they have predicted; if not,
            done.json does not name them either.

    Raises:
        RunError: If they are no runs, of different configurations or tables, or hold one fold with
            different content.
        MelanomaError: If something cannot be written.
    """
    target = RunFolder(run_dir)
    parts = [RunFolder(path) for path in sources]
    is_there = target.config_yaml.is_file()
    parts += [target] if is_there else []
    _check_same(parts)
    found = _fold_numbers(parts)
    numbers = [number for number in found if folds is None or number in folds]
    chosen = {number: _choose(_copies(parts, number)) for number in numbers}
    new = {number: fold for number, fold in chosen.items() if fold.path.parent != run_dir}
    config = _at_home(target if is_there else parts[0], target, data_dir, folds_csv)
    with hold_folds(target, new, "taken over"), writing_explained(run_dir):
        _write_heads(target, parts, config)
        for number, fold in new.items():
            _copy_fold(fold.path, target.fold(number).path, () if checkpoints else _STATES)
    return target


def _check_same(parts: Sequence[RunFolder]) -> None:
    if not parts:
        raise RunError("no run to take over: give folders that scripts/train_folds.py wrote.")
    first, *others = parts
    for other in others:
        differing = differing_settings(first.read_config(), other.read_config())
        before, now = read_object(first.tables_json), read_object(other.tables_json)
        differing += [name for name in before if now and before[name] != now.get(name)]
        if differing:
            raise RunError(
                f"{first.path} and {other.path} are not of the same run: {name_some(differing)}. Take "
                "them over one by one, under different names."
            )


def _fold_numbers(parts: Sequence[RunFolder]) -> list[int]:
    return sorted({number for part in parts for number in part.begun_folds()})


def _copies(parts: Sequence[RunFolder], number: int) -> list[FoldFolder]:
    return [part.fold(number) for part in parts if part.fold(number).path.is_dir()]


def _choose(candidates: Sequence[FoldFolder]) -> FoldFolder:
    """The copy of a fold that is furthest; of equal ones the last, which may be in place already.

    Raises:
        RunError: If two are as far and differ.
    """
    best = max(reversed(candidates), key=_progress)
    for other in candidates:
        is_rival = other.path != best.path and _progress(other)[:2] == _progress(best)[:2]
        if is_rival and _differ(best, other):
            raise RunError(
                f"{best.path} and {other.path} hold {best.title} of the same run with different "
                "content. Leave one of them out."
            )
    return best


def _progress(fold: FoldFolder) -> tuple[bool, int, bool, bool, int]:
    # A finished fold is that, in however many epochs.
    epochs = 0 if fold.is_done else _n_lines(fold.metrics_csv)
    # Of a finished one some files may have been left at Kaggle.
    n_files = (
        sum((fold.path / name).is_file() for name in _files_named(fold)) if fold.is_done else 0
    )
    return fold.is_done, epochs, fold.is_done and fold.is_predicted, fold.is_begun, n_files


def _files_named(fold: FoldFolder) -> dict[str, str]:
    files: dict[str, str] = fold.read_done().get("files", {})
    return files


def _differ(one: FoldFolder, other: FoldFolder) -> bool:
    """Whether the trained parts of two copies of a fold are not the same."""
    if one.is_done:
        files, others = _files_named(one), _files_named(other)
        # Test predictions may be made at any time, on any machine.
        common = files.keys() & others.keys() - {one.test_csv.name}
        return any(files[name] != others[name] for name in common)
    states = [fold.last_checkpoint for fold in (one, other) if fold.is_begun]
    return len({sha256_of(state) for state in states}) > 1


def _at_home(
    part: RunFolder, target: RunFolder, data_dir: Path | None, folds_csv: Path | None
) -> dict[str, Any]:
    """The configuration, with the paths of this machine: they are not what makes the run."""
    config = part.read_config()
    data = dict(config.get("data") or {})
    places = {"data_dir": data_dir, "folds_csv": folds_csv}
    data |= {name: str(path) for name, path in places.items() if path is not None}
    return config | {"run_dir": str(target.path), "data": data}


def _write_heads(target: RunFolder, parts: Sequence[RunFolder], config: dict[str, Any]) -> None:
    """What a run has beside its folds, in the order in which training writes it."""
    tables = next(filter(None, (read_object(part.tables_json) for part in parts)), None)
    if tables:
        write_json(target.tables_json, tables)
    write_text(target.config_yaml, yaml.safe_dump(config, sort_keys=False))
    records = [record for part in parts if (record := read_object(part.record_json))]
    if records:
        environments: list[Any] = []
        for record in records:
            environments += [e for e in record.get("environments", []) if e not in environments]
        write_json(target.record_json, {**records[0], "environments": environments})


def _copy_fold(source: Path, place: Path, left_out: Collection[str]) -> None:
    taking = place.with_name(f".{place.name}.taking")
    copy, earlier = taking / "new", taking / "earlier"
    if earlier.exists() and not place.exists():  # of a process that was killed in between
        earlier.rename(place)
    shutil.rmtree(taking, ignore_errors=True)
    copy.mkdir(parents=True)
    for path in _files_of(source, left_out):
        (copy / path).parent.mkdir(parents=True, exist_ok=True)
        # The content alone: what is attached to a kernel is read-only, and its copy must not be.
        shutil.copyfile(source / path, copy / path)
    if left_out and (fold := FoldFolder(copy)).is_done:
        done = fold.read_done()
        kept = {name: sha for name, sha in _files_named(fold).items() if (copy / name).is_file()}
        write_json(fold.done_json, done | {"files": kept})
    if place.exists():
        place.rename(earlier)
    copy.rename(place)
    shutil.rmtree(taking)


def _files_of(folder: Path, left_out: Collection[str]) -> Iterator[Path]:
    """Its files, relative; not what processes that were killed have left half-written."""
    for path in sorted(folder.rglob("*")):
        relative = path.relative_to(folder)
        is_left_out = any(Path(relative.parts[0]).match(pattern) for pattern in left_out)
        is_hidden = any(part.startswith(".") for part in relative.parts)
        if path.is_file() and not is_left_out and not is_hidden:
            yield relative


def _n_lines(path: Path) -> int:
    return len(path.read_text(encoding="utf-8").splitlines()) if path.is_file() else 0
