"""The door to Kaggle: its package is loaded behind it, once there are credentials."""

import io
from contextlib import redirect_stderr, redirect_stdout

from melanoma.kaggle.credentials import check_packages, find_credentials, redact
from melanoma.kaggle.failures import NothingSentError
from melanoma.kaggle.patience import Patience
from melanoma.kaggle.service import Kaggle


def connect(patience: Patience | None = None) -> Kaggle:
    """Sign in at Kaggle.

    Args:
        patience: How long to wait for it.

    Raises:
        MelanomaError: If Kaggle's package is not installed.
        NothingSentError: If there are no credentials, or Kaggle does not take them or does not answer.
    """
    check_packages()
    find_credentials()
    patience = patience or Patience()
    try:
        from melanoma.kaggle.client import Client, load_package
        from melanoma.kaggle.transport import bounded

        # The package signs in where it is imported, and prints what it makes of it.
        said = io.StringIO()
        with redirect_stdout(said), redirect_stderr(said), bounded(patience.timeout_s):
            api = load_package()
    except (ImportError, OSError) as error:
        raise NothingSentError(
            f"Kaggle's package cannot be loaded ({redact(str(error))}). Install it again with "
            "`pip install -r requirements-kaggle.txt`, and check that ~/.kaggle can be written."
        ) from None
    return Client(api, patience)
