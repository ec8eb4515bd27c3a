"""Who we are at Kaggle: looked for before its package is loaded, and never shown.

`import kaggle` signs in, prints pages of help where it cannot, and with a token asks Kaggle whose it
is (kaggle 2.2.4, `KaggleApi.authenticate`). So credentials are looked for here first, in the order of
the package: a token, the older pair of user name and key, what `kaggle auth login` has left.
"""

import base64
import os
import re
import sys
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

from melanoma.errors import MelanomaError
from melanoma.files import read_object
from melanoma.kaggle.failures import NothingSentError

_PACKAGES = ("kaggle", "six")
_HOW = (
    "Make a token at https://www.kaggle.com/settings/api (Generate New Token) and put it into the "
    "variable KAGGLE_API_TOKEN or the file ~/.kaggle/access_token; a kaggle.json with username and "
    "key, in ~/.kaggle, will do too. Nothing was sent."
)
# Shorter ones would be found in harmless words.
_SHORTEST_SECRET = 6
_QUERY = re.compile(r"\?[^\s'\"<>()]*=[^\s'\"<>()]*")
_USER_OF_ADDRESS = re.compile(r"(?<=//)[^/\s@'\"]+@")
_AUTHORIZATION = re.compile(r"\b(Bearer|Basic)\s+[\w+/=.~-]{8,}")


@dataclass(frozen=True)
class Credentials:
    """That there are credentials, and where.

    Attributes:
        source: The variable, or the file.
        username: Empty where only Kaggle knows.
    """

    source: str
    username: str = ""


def check_packages() -> None:
    """Check that Kaggle's package can be loaded; it is not loaded.

    Raises:
        MelanomaError: If it is missing, or what it needs without saying so (kaggle 2.2.4 and 2.2.5
            import six, and do not declare it).
    """
    missing = [name for name in _PACKAGES if find_spec(name) is None]
    if missing:
        raise MelanomaError(
            f"{' and '.join(missing)}: not installed, and needed to talk to Kaggle. Install it with "
            "`pip install -r requirements-kaggle.txt`. Nothing was sent."
        )


def find_credentials() -> Credentials:
    """Find the credentials that Kaggle's package is going to use.

    Raises:
        NothingSentError: If there are none, with how to get them.
    """
    found = _find_token() or _find_key() or _find_login()
    if found is None:
        raise NothingSentError(f"No credentials for Kaggle{_what_is_amiss()}. {_HOW}")
    return found


def redact(text: str) -> str:
    """Take everything secret out of a text: tokens, keys, and what signs an address.

    >>> redact("PUT http://host/file?upload_id=123 failed")
    'PUT http://host/file?*** failed'
    """
    for secret in sorted(_secrets(), key=len, reverse=True):
        text = text.replace(secret, "***")
    text = _AUTHORIZATION.sub(r"\1 ***", text)
    return _USER_OF_ADDRESS.sub("***@", _QUERY.sub("?***", text))


def _find_token() -> Credentials | None:
    within = os.environ.get("KAGGLE_API_V1_TOKEN", "")
    if _is_in_notebook() and within and _content(Path(within)):
        return Credentials("KAGGLE_API_V1_TOKEN")
    value = os.environ.get("KAGGLE_API_TOKEN", "")
    if value:
        # The package does not look further where the variable names an empty file.
        return Credentials("KAGGLE_API_TOKEN") if _token_of(value) else None
    files = (path for path in _token_files() if _content(path))
    return next((Credentials(str(path)) for path in files), None)


def _find_key() -> Credentials | None:
    username, key = _pair()
    if not (username and key):
        return None
    of_environment = "KAGGLE_KEY" in os.environ
    return Credentials("KAGGLE_KEY" if of_environment else str(_kaggle_json()), username)


def _find_login() -> Credentials | None:
    login = read_object(_login_json())
    if not login.get("refresh_token"):
        return None
    return Credentials(str(_login_json()), str(login.get("username") or ""))


def _pair() -> tuple[str, str]:
    """User name and key: of the file, and before it of the environment, each for itself."""
    held = read_object(_kaggle_json())
    username = os.environ.get("KAGGLE_USERNAME", held.get("username"))
    key = os.environ.get("KAGGLE_KEY", held.get("key"))
    return str(username or ""), str(key or "")


def _what_is_amiss() -> str:
    username, key = _pair()
    if os.environ.get("KAGGLE_API_TOKEN"):
        return ": KAGGLE_API_TOKEN names an empty file"
    if username or key:
        there, missing = ("user name", "key") if username else ("key", "user name")
        return f": there is a {there}, and no {missing}"
    if _kaggle_json().is_file():
        return f": {_kaggle_json()} holds no username and key"
    return f" in the environment or in {_kaggle_json().parent}"


def _secrets() -> Iterator[str]:
    username, key = _pair()
    login = read_object(_login_json())
    variables = ("KAGGLE_API_TOKEN", "KAGGLE_KEY", "KAGGLE_TOKEN", "KAGGLE_IAP_TOKEN")
    found = [
        *(os.environ.get(name, "") for name in variables),
        *(_token_of(os.environ.get(f"KAGGLE_API_{name}", "")) for name in ("TOKEN", "V1_TOKEN")),
        *(_content(path) for path in _token_files()),
        *(str(read_object(_kaggle_json()).get(name) or "") for name in ("key", "token")),
        *(str(login.get(name) or "") for name in ("refresh_token", "access_token")),
        key,
        base64.b64encode(f"{username}:{key}".encode()).decode() if key else "",
    ]
    yield from {secret for secret in found if len(secret) >= _SHORTEST_SECRET}


def _token_of(value: str) -> str:
    """The package takes the variable for a path where there is a file of that name."""
    path = Path(value)
    with suppress(OSError):  # a name that is too long for one
        if value and path.exists():
            return _content(path)
    return value


def _is_in_notebook() -> bool:
    """Whether this is a Kaggle notebook, as the package tells it (kagglesdk, `kaggle_env`)."""
    return all(name in os.environ for name in ("KAGGLE_KERNEL_RUN_TYPE", "KAGGLE_DATA_PROXY_URL"))


def _token_files() -> list[Path]:
    folder = Path.home() / ".kaggle"
    return [folder / "access_token", folder / "access_token.txt"]


def _kaggle_json() -> Path:
    named = os.environ.get("KAGGLE_CONFIG_DIR")
    folder = Path(named) if named else Path.home() / ".kaggle"
    if not named and sys.platform.startswith("linux") and not folder.exists():
        folder = Path(os.environ.get("XDG_CONFIG_HOME") or Path.home() / ".config") / "kaggle"
    return folder / "kaggle.json"


def _login_json() -> Path:
    return Path.home() / ".kaggle" / "credentials.json"


def _content(path: Path) -> str:
    with suppress(OSError, ValueError):
        return path.read_text(encoding="utf-8").strip()
    return ""
