"""Keeping a run folder below a size: what can be spared of finished folds is removed."""

import shutil
from collections.abc import Iterator, Sequence
from contextlib import suppress
from pathlib import Path

from melanoma.errors import RunError, name_bytes, name_some
from melanoma.files import write_json
from melanoma.run_folder import FoldFolder, RunFolder
from melanoma.run_locks import hold_folds

# Removed from a finished fold in this order; the checkpoint that predicts stays.
_SPARED = ("top", "photographs", "last.ckpt", "best.ckpt", "tensorboard")


def keep_within(
    run: RunFolder,
    budget: int | None,
    next_fold: int | None = None,
    running: Sequence[int] = (),
) -> None:
    """Remove what can be spared of finished folds until the run folder fits.

    The checkpoints that predict and the tables are never removed. A fold that another process writes
    into is left alone.

    Args:
        run: The run.
        budget: Bytes; None for no limit.
        next_fold: That is about to be trained: room is left for it, judged by the checkpoints there
            are.
        running: Folds that have been started before it, and train beside it unless they are done.

    Raises:
        RunError: If it does not fit and a fold is about to be trained, naming the sizes. Without
            one this is only printed: everything is trained.
    """
    if budget is None or not run.path.is_dir():
        return
    needed = 0
    if next_fold is not None:
        trained = {next_fold, *(fold for fold in running if not run.fold(fold).is_done)}
        needed = sum(_bytes_still_needed(run, run.fold(fold)) for fold in trained)
    for folder, path in _removable(run):
        if _size(run.path) + needed <= budget:
            return
        with suppress(OSError, RunError), hold_folds(run, [folder.number], "made smaller"):
            _remove(folder, path)
    size = _size(run.path)
    if size + needed <= budget:
        return
    message = _too_large(run, size, needed, budget)
    if next_fold is not None:
        raise RunError(message)
    print(message, flush=True)


def _removable(run: RunFolder) -> Iterator[tuple[FoldFolder, Path]]:
    for name in _SPARED:
        for number in run.finished_folds():
            folder = run.fold(number)
            path = folder.path / name
            if path.exists():
                yield folder, path


def _remove(folder: FoldFolder, path: Path) -> None:
    if path == folder.predicting_checkpoint:
        return
    done = folder.read_done()
    if path.name in done.get("files", {}):
        files = {name: sha256 for name, sha256 in done["files"].items() if name != path.name}
        # First: what it lists is there, whenever it is read.
        write_json(folder.done_json, {**done, "files": files})
    if path.is_dir():
        shutil.rmtree(path)
    else:
        path.unlink()
    print(f"{path} removed, to keep to --disk_budget", flush=True)


def _bytes_still_needed(run: RunFolder, folder: FoldFolder) -> int:
    """What a fold takes while it trains: best, last, and the one that is being written."""
    checkpoints = [path.stat().st_size for path in run.path.glob("fold_*/*.ckpt")]
    return max(0, 3 * max(checkpoints, default=0) - _size(folder.path))


def _size(path: Path) -> int:
    sizes = 0
    for file in path.rglob("*"):
        with suppress(FileNotFoundError):  # of a process at work
            sizes += 0 if file.is_dir() else file.lstat().st_size
    return sizes


def _too_large(run: RunFolder, size: int, needed: int, budget: int) -> str:
    kept = sorted(run.path.glob("fold_*/*.ckpt"), key=lambda path: -path.stat().st_size)
    sizes = (f"{p.relative_to(run.path)} {name_bytes(p.stat().st_size)}" for p in kept)
    another = f", what is to be trained needs about {name_bytes(needed)}" if needed else ""
    return (
        f"--disk_budget {name_bytes(budget)}: {run.path} takes {name_bytes(size)}{another}, and "
        f"nothing more can be spared. The largest: {name_some(sizes)}. Give a larger budget, fewer "
        "--parallel_folds, or a --run_dir on a larger disk. The checkpoints that predict cannot go."
    )
