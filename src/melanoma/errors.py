"""The errors a user can cause, and the wording they share.

Scripts catch `MelanomaError` alone, print its message and exit with its code; a programming error
keeps its traceback. Every message says what is wrong, which values, where, and what to do next.
"""

from collections.abc import Collection, Iterable
from difflib import get_close_matches

NAMED_VALUES = 5


class MelanomaError(Exception):
    """Base class of every error that the user, not the programmer, can put right.

    Attributes:
        exit_code: Of the script that ends with it: 2, or 1 where the request was in order and what
            it came to is not.
    """

    exit_code = 2


class TableError(MelanomaError):
    """A CSV file is missing, unreadable, or breaks its contract."""


class ImageError(MelanomaError):
    """A photograph is missing, empty, truncated or not an image."""


class ConfigError(MelanomaError):
    """An option, or a combination of options, cannot work."""


class RunError(MelanomaError):
    """A run folder is incomplete or belongs to another configuration."""


class RemoteError(MelanomaError):
    """A place behind an address cannot be reached, or has not what it should have."""


def name_some(values: Iterable[object], total: int | None = None) -> str:
    """Name the first five of some offending values, and how many there are.

    Args:
        values: The offending values, in the order of their appearance.
        total: Their number where `values` holds only the first of them.

    >>> name_some(["a", "b"])
    'a, b'
    >>> name_some(range(8))
    '0, 1, 2, 3, 4 ... (8 in all)'
    """
    listed = [str(value) for value in values]
    total = len(listed) if total is None else total
    named = ", ".join(listed[:NAMED_VALUES])
    return named if total <= NAMED_VALUES else f"{named} ... ({total} in all)"


def name_bytes(count: float) -> str:
    """Write a number of bytes as a user reads it.

    >>> name_bytes(999), name_bytes(6_512_345_678)
    ('999 bytes', '6.5 GB')
    """
    for factor, unit in ((1e12, "TB"), (1e9, "GB"), (1e6, "MB"), (1e3, "kB")):
        if count >= factor:
            return f"{count / factor:.1f} {unit}"
    return f"{count:.0f} bytes"


def suggest(name: str, known: Collection[str]) -> str:
    """Say which known names are nearest to a misspelt one; empty where none is near.

    >>> suggest("resnet81", ["resnet18", "vgg11"])
    ' Did you mean resnet18?'
    """
    nearest = get_close_matches(name, known, n=3, cutoff=0.6)
    return f" Did you mean {' or '.join(nearest)}?" if nearest else ""
