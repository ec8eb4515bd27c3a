"""Identifiers of images and patients: the one form by which they are compared."""

import hashlib
import re
import unicodedata
from collections.abc import Iterable

import numpy as np
import numpy.typing as npt
import pandas as pd

# In a checkpoint: the images that its data module trains on, numbered by `hash_forms`.
TRAINED_ON = "trained_on"

# What makes a form differ from the identifier as it is written; almost no table has any of it.
_SPECIAL = re.compile(r"[^\S\n]|\.0+$", re.MULTILINE)
_INTEGRAL = re.compile(r"(-?(?:0|[1-9][0-9]*))\.0+")


def normal_form(identifiers: "pd.Series[str]") -> "pd.Series[str]":
    """Give every identifier the form by which it is compared.

    Two identifiers with one form are the same image or patient. White space around an identifier is
    left out, and a run of it inside counts as one blank. An integral number is written without a
    point, since pandas writes 7 as 7.0 where a column has missing values. Unicode is composed (NFC).
    Nothing else is changed: 007 is not 7, and upper case is not lower case.

    Args:
        identifiers: Text; missing values stay missing.

    Returns:
        The forms, with the same index and name. They are for comparing: what is written keeps the
        spelling of its table.

    >>> normal_form(pd.Series(["P1 ", "7.0", "007", "7.50", "a  b"])).tolist()
    ['P1', '7', '007', '7.50', 'a b']
    """
    known = identifiers.dropna()
    text = "\n".join(known)
    if text.isascii() and text.count("\n") == max(len(known) - 1, 0) and not _SPECIAL.search(text):
        return identifiers
    return identifiers.map({value: _normal(value) for value in known.unique()})


def hash_forms(forms: Iterable[str]) -> npt.NDArray[np.int64]:
    """Number identifiers, so that a file can be asked for those it knows but does not name them.

    Args:
        forms: As `normal_form` gives them.

    Returns:
        Shape (n,): the first eight bytes of the BLAKE2 hash of each. Two among a million differ but
        for one chance in ten million.

    >>> hash_forms(["P1"]).tolist() == hash_forms(["P1"]).tolist() != hash_forms(["P2"]).tolist()
    True
    """
    digests = (hashlib.blake2b(form.encode(), digest_size=8).digest() for form in forms)
    return np.frombuffer(b"".join(digests), dtype="<i8").astype(np.int64)


def _normal(identifier: str) -> str:
    form = " ".join(unicodedata.normalize("NFC", identifier).split())
    integral = _INTEGRAL.fullmatch(form)
    return integral[1] if integral else form
