"""What can go wrong between this machine and Kaggle: by what is to be done about it, and in words."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from melanoma.errors import MelanomaError
from melanoma.kaggle.guard import redact

TOO_MANY = 429
_FOR_NOW = (408, TOO_MANY)
_LONGEST_TEXT = 600
_HOW = (
    "Make a token at https://www.kaggle.com/settings/api (Generate New Token) and put it into the "
    "variable KAGGLE_API_TOKEN or the file ~/.kaggle/access_token; a kaggle.json with username and "
    "key, in ~/.kaggle, will do too."
)
_ADVICE = {
    401: f"Your token or key is not accepted. {_HOW}",
    403: (
        "Check the owner and the name, that it is yours or shared with you, that you have accepted "
        "the rules of the competition on its page, and that your phone number is verified in "
        "https://www.kaggle.com/settings (accelerators and internet take that)."
    ),
    404: "Check the owner and the name: owner/slug, as in the address of its page.",
}
_LATER = "Kaggle may be overloaded or down; try again later."


class KaggleError(MelanomaError):
    """Kaggle was asked, and what came of it is not as it has to be."""

    exit_code = 1


class NothingSentError(KaggleError):
    """Kaggle was asked for nothing: its package or the credentials are not as they have to be."""

    exit_code = 2


class UnreachableError(KaggleError):
    """Kaggle does not answer, or with nothing that can be read: the same may work later."""


class NotFoundError(KaggleError):
    """Kaggle has no such thing, or shows it to others only: it answers alike (HTTP 403, 404)."""


class RefusedError(KaggleError):
    """Kaggle has understood what was asked, and did not do it, or not all of it."""


class SessionsTakenError(RefusedError):
    """As many kernels run as an account may have: pushed again later, it may be taken."""


class KernelFailedError(KaggleError):
    """A kernel has run, and did not end well."""


@contextmanager
def bounded(timeout_s: float) -> Iterator[None]:
    """Give every request a time limit; Kaggle's package (2.2.4) sets none, and would wait for ever.

    It opens sessions in several places, so the limit is put where all of them pass.
    """
    from requests.adapters import HTTPAdapter

    send = HTTPAdapter.send

    def send_in_time(self: Any, request: Any, *, timeout: Any = None, **more: Any) -> Any:
        return send(self, request, timeout=timeout or timeout_s, **more)

    HTTPAdapter.send = send_in_time
    try:
        yield
    finally:
        HTTPAdapter.send = send


def explain(error: BaseException, what: str, said: str = "") -> KaggleError:
    """Say what went wrong, and what to do about it.

    Args:
        error: What Kaggle's package, or the network, has raised.
        what: Was tried, as messages begin: "pushing me/kernel".
        said: What the package printed meanwhile; shown where the error itself says nothing.
    """
    import requests
    from urllib3.exceptions import HTTPError

    code = status_code(error)
    text = _shorten(redact(_text_of(error) or said))
    if code is not None:
        return _explain_code(code, f"{what}: Kaggle answers {code} ({text}).")
    if isinstance(error, requests.Timeout):
        return UnreachableError(f"{what}: no answer in time ({text}). {_LATER}")
    if isinstance(error, requests.JSONDecodeError):
        return _broken(what, text)
    if isinstance(error, requests.RequestException | HTTPError | ConnectionError):
        return UnreachableError(
            f"{what}: Kaggle cannot be reached ({text}). Check the connection, and the proxy if you "
            "use one; then try again."
        )
    return _explain_package(error, what, text, said)


def status_code(error: BaseException | None) -> int | None:
    """Of the answer that an error is about, or that the error was raised in the handling of.

    Kaggle may answer HTTP 200 with the code in the text (kagglesdk, `_prepare_response`).
    """
    while error is not None:
        response = getattr(error, "response", None)
        if response is not None:
            return _code_within(response) or int(response.status_code)
        error = error.__cause__ or error.__context__
    return None


def never_sent(error: BaseException) -> bool:
    """Whether there was not even a connection, so that a repetition cannot do a thing twice."""
    import requests
    from urllib3.exceptions import NewConnectionError

    reason = getattr(error.args[0], "reason", None) if error.args else None
    # A ProxyError is one of connecting to the proxy (urllib3, `has_connected_to_proxy`).
    unconnected = (requests.ConnectTimeout, requests.exceptions.ProxyError)
    return isinstance(error, unconnected) or isinstance(reason, NewConnectionError)


def _explain_code(code: int, message: str) -> KaggleError:
    if code >= 500 or code in _FOR_NOW:
        return UnreachableError(f"{message} {_LATER}")
    if code in (403, 404):
        return NotFoundError(f"{message} {_ADVICE[code]}")
    if code == 401:
        return NothingSentError(f"{message} {_ADVICE[code]}")
    return RefusedError(f"{message} It says why; put that right and try again.")


def _explain_package(error: BaseException, what: str, text: str, said: str) -> KaggleError:
    """What was raised without an answer: by a check of the package, or by an odd answer."""
    if isinstance(error, SystemExit):
        return NothingSentError(f"{what}: no credentials that Kaggle accepts. {_HOW}")
    is_parser = isinstance(error, TypeError | KeyError | AttributeError)
    if is_parser or type(error).__name__ == "JSONDecodeError":
        return _broken(what, f"{type(error).__name__}: {text}")
    detail = f"{text}; {_shorten(redact(said))}" if said.strip() else text
    return NothingSentError(f"{what}: {detail}. Kaggle's package has refused it; nothing was done.")


def _broken(what: str, text: str) -> KaggleError:
    return UnreachableError(
        f"{what}: the answer cannot be read ({text}). A proxy may have answered in place of Kaggle, "
        "or Kaggle is down; try again later."
    )


def _code_within(response: Any) -> int | None:
    try:
        code = response.json().get("code")
    except (ValueError, AttributeError):
        return None
    return code if isinstance(code, int) and code >= 400 else None


def _text_of(error: BaseException) -> str:
    return "" if isinstance(error, SystemExit) else str(error)


def _shorten(text: str) -> str:
    text = " ".join(text.split()).rstrip(".")
    return text if len(text) <= _LONGEST_TEXT else text[:_LONGEST_TEXT] + " ..."
