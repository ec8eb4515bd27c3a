"""Where the data are: a folder of this machine, whatever was typed."""

import os
from pathlib import Path
from typing import Any

from melanoma.command_line import parse_bytes
from melanoma.errors import MelanomaError
from melanoma.remote.address import address_of
from melanoma.remote.mirror import open_mirror

DEFAULT_SIZE = "20GB"


def local_folder(
    data_dir: str | Path, cache: str | Path | None = None, size: str = DEFAULT_SIZE
) -> Path:
    """The competition folder itself, or the mirror of one behind an address, its tables up to date.

    Args:
        data_dir: A folder, or an address such as s3://bucket/siim.
        cache: The folder of all mirrors; None for `default_cache`.
        size: What the photographs of a mirror may take, such as 20GB.

    Raises:
        MelanomaError: If the address cannot be used; for a folder nothing is checked.
    """
    most_bytes = parse_bytes(size, "--data.data_cache_size")
    address = address_of(data_dir)
    if address is None:
        return Path(data_dir)
    return open_mirror(address, Path(cache) if cache else default_cache(), most_bytes).folder


def folder_of_run(settings: dict[str, Any], data_dir: Path | None = None) -> Path:
    """The folder of this machine with the tables that a run was trained on.

    Args:
        settings: Section `data` of its configuration.
        data_dir: Another place for the same tables, as typed; None for that of the configuration.

    Raises:
        MelanomaError: As `local_folder`.
    """
    place = data_dir or settings.get("data_dir") or ""
    size = settings.get("data_cache_size", DEFAULT_SIZE)
    return local_folder(place, settings.get("data_cache"), size)


def folder_if_there(settings: dict[str, Any]) -> Path:
    """As `folder_of_run`; where the address cannot be read, a path at which nothing is.

    For what looks at a run that may have been made on another machine.
    """
    try:
        return folder_of_run(settings)
    except MelanomaError:
        return Path(settings["data_dir"])


def default_cache() -> Path:
    """Where mirrors are unless told otherwise: the user's folder for what can be fetched again."""
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "melanoma"
