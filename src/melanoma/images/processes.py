"""Work on many items with all cores, in processes that end quietly."""

import multiprocessing
import os
import signal
import threading
from collections.abc import Callable, Generator, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from multiprocessing.connection import wait
from typing import TypeVar

from melanoma.errors import MelanomaError

Item = TypeVar("Item")
Result = TypeVar("Result")

# A process takes about a second to start, and is sent a few items at a time.
_ITEMS_WORTH_A_PROCESS = 32
_ITEMS_AT_A_TIME = 4


def map_in_processes(
    function: Callable[[Item], Result], items: Sequence[Item], num_workers: int
) -> Generator[Result]:
    """Apply a function to each item, in several processes where that is worth it.

    An exception, Ctrl-C among them, ends it after the items that are being worked on.

    Args:
        function: Of a module's top level, or a `functools.partial` of one.
        items: What it is applied to.
        num_workers: How many processes at most; 1 stays in this one.

    Yields:
        The results, in the order of the items.

    Raises:
        MelanomaError: If the system has killed a process.
    """
    num_workers = min(num_workers, 1 + len(items) // _ITEMS_WORTH_A_PROCESS)
    if num_workers == 1:
        yield from map(function, items)
        return
    # Not forked: a copy of a process with threads may hang.
    context = multiprocessing.get_context("spawn")
    pool = ProcessPoolExecutor(num_workers, context, initializer=_end_with_parent)
    try:
        with _interrupts_ignored():
            results = pool.map(function, items, chunksize=_ITEMS_AT_A_TIME)
        yield from results
    except BrokenProcessPool as error:
        raise MelanomaError(
            "a process was killed, most likely because memory ran out. Give the same command again "
            f"with fewer than --num_workers {num_workers}; what is finished stays."
        ) from error
    finally:
        pool.shutdown(cancel_futures=True)


@contextmanager
def _interrupts_ignored() -> Iterator[None]:
    # Processes started here inherit it: Ctrl-C reaches them too, but is for this one to answer.
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)


def _end_with_parent() -> None:
    # A killed parent tells its workers nothing: they would wait for work for ever.
    parent = multiprocessing.parent_process()
    if parent is not None:
        threading.Thread(target=_exit_after, args=(parent.sentinel,), daemon=True).start()


def _exit_after(sentinel: int) -> None:
    wait([sentinel])
    os._exit(1)
