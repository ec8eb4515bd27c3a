"""The log of a kernel: its lines, each shown once, however often Kaggle sends them."""

import json
from collections.abc import Callable

from melanoma.kaggle.credentials import redact


class LogPrinter:
    """Shows what of a log has not been shown yet.

    Kaggle sends a log from its beginning with each connection, and may cut it into other pieces
    when the kernel has ended. So what has been shown is counted in characters, without line ends.
    """

    def __init__(self, say: Callable[[str], None]) -> None:
        self._say = say
        self._shown = 0
        self._heard = 0

    def begin(self) -> None:
        """Expect the log from its beginning."""
        self._heard = 0

    def hear(self, text: str) -> None:
        """Show the lines of a piece that are new."""
        for line in text.splitlines():
            new = line[max(0, self._shown - self._heard) :]
            self._heard += len(line)
            if new and self._heard > self._shown:
                self._shown = self._heard
                self._say(redact(new))


def pieces_of(log: str) -> list[str]:
    """What a kernel has written, of the log that Kaggle keeps.

    It is a JSON list of objects with stream_name, time and data; anything else is taken as it is.

    >>> pieces_of('[{"stream_name": "stdout", "time": 1.5, "data": "fold 0"}]'), pieces_of("fold 1")
    (['fold 0'], ['fold 1'])
    """
    try:
        events = json.loads(log)
        return [str(event["data"]) for event in events]
    except (ValueError, TypeError, KeyError):
        return [log]
