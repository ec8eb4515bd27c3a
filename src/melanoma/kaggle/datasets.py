"""Uploading a dataset, such as wheels for a kernel without internet, and waiting until it is there."""

import json
import re
from collections.abc import Callable
from pathlib import Path

from melanoma.errors import ConfigError, name_bytes, name_some
from melanoma.kaggle.failures import RefusedError, UnreachableError
from melanoma.kaggle.follow import Say, say_now
from melanoma.kaggle.patience import Patience
from melanoma.kaggle.service import DatasetState, Kaggle, Received

METADATA = "dataset-metadata.json"
# How long Kaggle may take to process it.
LIMIT_S = 1800.0


def upload_dataset(
    kaggle: Kaggle,
    folder: Path,
    notes: str,
    patience: Patience | None = None,
    limit_s: float = LIMIT_S,
    say: Say = say_now,
) -> str:
    """Make a dataset of a folder's files, or a new version of it, and wait until it can be used.

    Args:
        kaggle: As `connection.connect` gives it.
        folder: With dataset-metadata.json (title, id, licenses) and files, without folders.
        notes: Of the version.
        patience: How often to look.
        limit_s: How long to wait until it is ready.
        say: Shows a line.

    Returns:
        Its `owner/slug`.

    Raises:
        ConfigError: If the folder is no dataset.
        RefusedError: If Kaggle does not take it, or cannot process it.
        KaggleError: If Kaggle cannot be reached, or not by us.
    """
    patience = patience or Patience()
    ref, files = _read(folder)
    before = kaggle.dataset(ref)
    size = name_bytes(sum(path.stat().st_size for path in files))
    say(
        f"{ref}: uploading {len(files)} files, {size}, as {'a new' if before else 'the first'} version"
    )
    received = kaggle.version_dataset(folder, notes) if before else kaggle.create_dataset(folder)
    _check(received, ref)
    version = before.version + 1 if before and before.version else 0
    _wait(lambda: kaggle.dataset(ref), ref, version, patience, limit_s)
    say(f"{ref}: ready")
    return ref


def dataset_page(ref: str) -> str:
    """The address of a dataset."""
    return f"https://www.kaggle.com/datasets/{ref}"


def _read(folder: Path) -> tuple[str, list[Path]]:
    path = folder / METADATA
    try:
        ref = json.loads(path.read_text(encoding="utf-8"))["id"]
    except (OSError, ValueError, TypeError, KeyError) as error:
        raise ConfigError(
            f"{path}: cannot be read, or names no id ({error}). It takes title, id and licenses."
        ) from error
    if not isinstance(ref, str) or not re.fullmatch(r"[\w-]+/[\w-]{6,50}", ref):
        raise ConfigError(
            f"{path}: id {ref!r} is not owner/slug with 6 to 50 characters after the slash. Correct it."
        )
    folders = [inner.name for inner in folder.iterdir() if inner.is_dir()]
    if folders:
        raise ConfigError(
            f"{folder}: holds folders ({name_some(sorted(folders))}), which Kaggle's package leaves "
            "out of a dataset. Put their files beside the others."
        )
    files = [inner for inner in folder.iterdir() if inner.name != METADATA]
    if not files:
        raise ConfigError(f"{folder}: holds nothing but {METADATA}. Put files into it.")
    return ref, files


def _check(received: Received, ref: str) -> None:
    if received.error or received.status.lower() != "ok":
        why = received.error or f"status {received.status!r}"
        raise RefusedError(
            f"{ref}: Kaggle refuses the dataset: {why.rstrip('.')}. Put it right and upload it again."
        )
    if received.lost:
        raise RefusedError(
            f"{ref}: made, but without the tags {name_some(received.lost)}, which Kaggle does not "
            f"know. Take them out of the keywords in {METADATA} and upload it again."
        )


def _wait(
    look: Callable[[], DatasetState | None],
    ref: str,
    version: int,
    patience: Patience,
    limit_s: float,
) -> None:
    """Wait until a dataset is ready, and no longer the one before.

    Args:
        look: How far it is.
        ref: Of the dataset.
        version: At least; 0 where it is not known.
        patience: How often to look.
        limit_s: How long.
    """
    said = "not there"
    for _ in range(max(1, round(limit_s / patience.interval_s))):
        try:
            state = look()
        except UnreachableError as error:
            state, said = None, str(error)
        if state is not None:
            said = f"{state.status}, version {state.version}"
            if state.status in ("failed", "deleted"):
                raise RefusedError(
                    f"{ref}: Kaggle could not process the dataset ({state.status}). Look at "
                    f"{dataset_page(ref)}, and upload it again."
                )
            if state.status == "ready" and state.version >= version:
                return
        patience.sleep(patience.interval_s)
    raise RefusedError(
        f"{ref}: not ready after {limit_s / 60:.0f} minutes ({said}). Look at {dataset_page(ref)}; a "
        "kernel can use it once it is processed."
    )
