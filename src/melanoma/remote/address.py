"""Whether a competition folder is given as an address, such as s3://bucket/siim."""

import re
from pathlib import Path
from urllib.parse import urlsplit

from melanoma.errors import ConfigError

# Two letters at least: one is a drive. One slash is enough: a Path makes one of two.
_ADDRESS = re.compile(r"([a-z][a-z0-9+.-]+):/+(.+)", re.IGNORECASE)
# Their paths begin with a slash, as there is no bucket or host before it.
_OF_THIS_MACHINE = ("file", "local")


def address_of(place: str | Path) -> str | None:
    """The address, without a slash at its end; None where `place` is a path of this machine.

    Raises:
        ConfigError: If a password is in it, which would be written to config.yaml.

    >>> address_of("s3://bucket/siim/"), address_of(Path("s3://bucket/siim"))
    ('s3://bucket/siim', 's3://bucket/siim')
    >>> address_of("file:///data/siim"), address_of("input/siim")
    ('file:///data/siim', None)
    """
    found = _ADDRESS.fullmatch(str(place))
    if not found or Path(place).exists():
        return None
    scheme = found[1].lower()
    root = "/" if scheme in _OF_THIS_MACHINE else ""
    address = f"{scheme}://{root}{found[2].rstrip('/')}"
    user, at, host = urlsplit(address).netloc.rpartition("@")
    if at and ":" in user:
        raise ConfigError(
            f"--data.data_dir {scheme}://...@{host}: has a password in it, which would be written to "
            "config.yaml. Leave it out, and give it in fsspec's own configuration: "
            "docs/remote_data.md."
        )
    return address


def refuse_address(place: str | Path, what: str) -> None:
    """Refuse an address where only a folder of this machine will do.

    Args:
        place: As typed.
        what: What would have to be done with it, for the message.

    Raises:
        ConfigError: If it is one.
    """
    address = address_of(place)
    if address is not None:
        raise ConfigError(
            f"--data_dir {address}: {what} needs a folder of this machine. Copy the data here, or "
            "run this where they are."
        )
