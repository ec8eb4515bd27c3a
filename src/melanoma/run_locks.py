"""Who may write into a run: one call per fold, and in it one process at a time."""

from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager

from melanoma.files import find_leftovers, remove_file
from melanoma.locking import hold, is_first_process, is_running
from melanoma.run_folder import RunFolder


@contextmanager
def hold_call(run: RunFolder, folds: Iterable[int]) -> Iterator[None]:
    """Be the only call of scripts/train_folds.py for these folds, before and between them.

    The folds themselves are held by the processes that write into them, which may outlive this one
    for a moment.

    Raises:
        RunError: If another call trains one of them, naming its process.
    """
    with ExitStack() as held:
        for folder in map(run.fold, sorted(folds)):
            lock = folder.lock.with_name(f"call_{folder.lock.name}")
            held.enter_context(hold(lock, f"{folder.title} is being trained"))
        for path in find_leftovers(run.path):
            # Others may be at work beside the folds, as scripts/build_submission.py.
            if not is_running(int(path.name.split(".")[-2])):
                remove_file(path)
        yield


@contextmanager
def hold_folds(
    run: RunFolder, folds: Iterable[int], doing: str, wait_s: float = 0.0
) -> Iterator[None]:
    """Be the only process that writes into these folds; what killed ones have left is removed.

    Args:
        run: The run.
        folds: Their numbers.
        doing: What is done with them, for the message: "trained".
        wait_s: How long to wait for a process that is at work.

    Raises:
        RunError: If another process is at work in one, naming it.
    """
    with ExitStack() as held:
        # Of several processes on as many devices, the first holds the folds for all.
        for folder in map(run.fold, sorted(folds) if is_first_process() else []):
            held.enter_context(hold(folder.lock, f"{folder.title} is being {doing}", wait_s))
            for path in folder.leftovers():
                remove_file(path)
        yield
