"""How long to wait for Kaggle, and how often to ask again."""

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass


@dataclass(frozen=True)
class Patience:
    """How long to wait for Kaggle, and how often to ask again.

    Attributes:
        timeout_s: Without a byte from Kaggle, after which a request is given up.
        retries: How often a request is repeated that Kaggle did not answer.
        backoff_s: Before the first repetition; twice as long before each further one.
        interval_s: Between two looks at what runs at Kaggle.
        lapses: How many looks in a row may fail before following is given up.
        sleep: Waits that many seconds.
    """

    timeout_s: float = 60.0
    retries: int = 4
    backoff_s: float = 2.0
    interval_s: float = 30.0
    lapses: int = 20
    sleep: Callable[[float], None] = time.sleep

    def waits_s(self) -> Iterator[float | None]:
        """How long to wait after each attempt that fails; None after the last.

        >>> list(Patience(retries=2, backoff_s=1.0).waits_s())
        [1.0, 2.0, None]
        """
        yield from (self.backoff_s * 2**attempt for attempt in range(self.retries))
        yield None
