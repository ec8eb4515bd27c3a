"""What can go wrong between this machine and Kaggle, by what is to be done about it."""

from melanoma.errors import MelanomaError


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
