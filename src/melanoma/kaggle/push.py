"""Pushing a kernel, where a refused push is a failure."""

import json
import re
from dataclasses import dataclass
from pathlib import Path

from melanoma.errors import ConfigError
from melanoma.kaggle.failures import RefusedError, SessionsTakenError
from melanoma.kaggle.service import Kaggle, Saved

METADATA = "kernel-metadata.json"
_TAKEN = re.compile(r"session count of (\d+) reached", re.IGNORECASE)
_REF = re.compile(r"^/?(?:code/)?([\w-]+/[\w-]+)$")


@dataclass(frozen=True)
class Pushed:
    """A kernel that Kaggle is going to run.

    Attributes:
        ref: `owner/slug`, as Kaggle has it.
        version: Of the kernel.
        url: Where it is to be looked at.
        remarks: What Kaggle's package had to say; mostly empty.
    """

    ref: str
    version: int
    url: str
    remarks: str = ""

    @property
    def versioned_ref(self) -> str:
        """`owner/slug/version`: the name of this very version."""
        return f"{self.ref}/{self.version}"


def push_kernel(kaggle: Kaggle, folder: Path) -> Pushed:
    """Push the kernel in a folder.

    Args:
        kaggle: As `connection.connect` gives it.
        folder: With kernel-metadata.json and the file it names.

    Raises:
        ConfigError: If the folder holds no kernel.
        SessionsTakenError: If as many kernels run as may.
        RefusedError: If Kaggle does not take the kernel, or not with all it needs.
        KaggleError: If Kaggle cannot be reached, or not by us.
    """
    ref = read_ref(folder)
    try:
        saved = kaggle.push(folder, ref)
    except RefusedError as error:
        _check_sessions(ref, str(error))
        raise
    _check(saved, ref)
    named = _REF.match(saved.ref)
    return Pushed(named[1] if named else ref, saved.version or 0, saved.url, saved.remarks)


def read_ref(folder: Path) -> str:
    """The `owner/slug` of the kernel in a folder.

    Raises:
        ConfigError: If there is none.
    """
    path = folder / METADATA
    try:
        ref = json.loads(path.read_text(encoding="utf-8"))["id"]
    except (OSError, ValueError, TypeError, KeyError) as error:
        raise ConfigError(
            f"{path}: cannot be read, or names no id ({error}). Build the kernel with "
            "scripts/push_kernel.py --dry-run."
        ) from error
    if not isinstance(ref, str) or not re.fullmatch(r"[\w-]+/[\w-]{5,}", ref):
        raise ConfigError(
            f"{path}: id {ref!r} is not owner/slug with five characters or more after the slash. "
            "Give it as --id."
        )
    return ref


def page_of(ref: str) -> str:
    """The address of a kernel: `owner/slug`, with or without a version.

    >>> page_of("me/melanoma-fold-0/3")
    'https://www.kaggle.com/code/me/melanoma-fold-0'
    """
    return "https://www.kaggle.com/code/" + "/".join(ref.split("/")[:2])


def _check(saved: Saved, ref: str) -> None:
    if saved.error:
        _check_sessions(ref, saved.error)
        raise RefusedError(
            f"{ref}: Kaggle refuses the kernel: {saved.error.rstrip('.')}. Nothing runs; put it right "
            "and push again."
        )
    url = saved.url or page_of(ref)
    if saved.lost:
        lost = "; ".join(f"{kind}: {', '.join(names)}" for kind, names in saved.lost.items())
        raise RefusedError(
            f"{ref}: saved as version {saved.version or '?'}, but without what Kaggle does not accept "
            f"({lost}). That version may be running now without it: cancel or delete it at {url}. "
            "Check each name, that you may see it, and that you have accepted the rules of the "
            "competition; then push again."
        )
    if not saved.version:
        raise RefusedError(
            f"{ref}: Kaggle's answer names no version. Look at {url} whether it runs before you push "
            "again."
        )


def _check_sessions(ref: str, text: str) -> None:
    taken = _TAKEN.search(text)
    if taken:
        raise SessionsTakenError(
            f"{ref}: not pushed, {taken[1]} kernels of yours run, which is as many as Kaggle allows. "
            "Wait for one to end, or cancel it at https://www.kaggle.com/code; then push again."
        )
