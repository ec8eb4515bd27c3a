import math
import operator
import os

import pytest

from melanoma.errors import MelanomaError
from melanoma.images.processes import map_in_processes


@pytest.mark.parametrize("num_workers", [1, 2])
def test_results_come_in_the_order_of_the_items(num_workers: int) -> None:
    items = list(range(100))
    assert list(map_in_processes(operator.neg, items, num_workers)) == [-item for item in items]


@pytest.mark.parametrize("num_workers", [1, 2])
def test_an_exception_ends_it(num_workers: int) -> None:
    with pytest.raises(ValueError, match=r"math domain error|nonnegative"):
        list(map_in_processes(math.sqrt, [4.0] * 50 + [-1.0] + [4.0] * 50, num_workers))


def test_a_killed_process_is_named() -> None:
    with pytest.raises(MelanomaError, match=r"a process was killed.*fewer than --num_workers 2"):
        list(map_in_processes(os._exit, [1] * 64, 2))


def test_nothing_at_all_is_fine() -> None:
    assert list(map_in_processes(operator.neg, [], 2)) == []
