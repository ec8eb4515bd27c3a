"""Whether a folder can take copies of photographs: checked before the first one is made."""

import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import asdict
from pathlib import Path
from statistics import mean

from melanoma.errors import ConfigError, MelanomaError, name_bytes, name_some
from melanoma.files import find_leftovers, read_object, remove_file, write_json
from melanoma.images.copies import CopyJob, CopySettings, encode_copy
from melanoma.images.decoding import UNREADABLE
from melanoma.locking import LOCKS, hold

# How many photographs are tried to know how large the copies will be.
_TRIED = 16
_CLAIM = "prepare.json"


def check_folders(data_dir: Path, output_dir: Path) -> None:
    """Check that copies and originals cannot be taken for each other.

    Raises:
        ConfigError: If one folder is, or lies in, the other.
    """
    source, target = data_dir.resolve(), output_dir.resolve()
    if target.is_relative_to(source) or source.is_relative_to(target):
        raise ConfigError(
            f"--output_dir {output_dir}: must not be --data_dir {data_dir}, lie in it or contain it: "
            f"copies could be taken for originals. Give a folder beside it, such as {source}-resized."
        )


def check_claim(output_dir: Path, settings: CopySettings) -> bool:
    """Check that a folder is new, or one that was begun for copies made alike; whether it was begun.

    Raises:
        ConfigError: If the folder holds other copies, or files that are none.
    """
    path = output_dir / _CLAIM
    if path.is_file():
        earlier = read_object(path)
        if earlier != asdict(settings):
            raise ConfigError(
                f"{output_dir}: holds copies made with {_as_options(earlier)}, not with "
                f"{_as_options(asdict(settings))}. Copies of two kinds are not mixed: give another "
                "--output_dir, or remove that folder first."
            )
        return True
    if output_dir.is_dir():
        foreign = sorted(p.name for p in output_dir.iterdir() if not p.name.startswith("."))
        if foreign:
            raise ConfigError(
                f"{output_dir}: holds files that this script did not write: {name_some(foreign)}. "
                "Give a new or an empty folder as --output_dir."
            )
    return False


@contextmanager
def claim(output_dir: Path, settings: CopySettings) -> Iterator[None]:
    """Be the only process that makes copies in a folder; it notes what they are made with.

    Raises:
        ConfigError: As `check_claim`.
        RunError: If another process is making copies there.
        MelanomaError: If it cannot be written.
    """
    check_claim(output_dir, settings)  # before anything is written into a stranger's folder
    with hold(output_dir / LOCKS / "prepare.lock", f"copies are being made in {output_dir}"):
        if not check_claim(output_dir, settings):
            write_json(output_dir / _CLAIM, asdict(settings))
        yield


def remove_leftovers(output_dir: Path) -> None:
    """Remove the half-written files of a run that was killed."""
    for folder in (output_dir, output_dir / "jpeg" / "train", output_dir / "jpeg" / "test"):
        for path in find_leftovers(folder):
            remove_file(path)


def check_space(output_dir: Path, jobs: Sequence[CopyJob], settings: CopySettings) -> None:
    """Check that the copies which are not there yet will fit, judged by a few of them.

    Raises:
        MelanomaError: Naming the bytes needed and free.
    """
    missing = [job for job in jobs if not job.target.exists()]
    sizes = []
    for job in missing[:: max(1, len(missing) // _TRIED)]:
        with suppress(*UNREADABLE):
            sizes.append(len(encode_copy(job.source, settings)[1]))
    needed = len(missing) * mean(sizes) if sizes else 0
    free = shutil.disk_usage(output_dir).free
    if needed > free:
        raise MelanomaError(
            f"{output_dir}: about {name_bytes(needed)} are needed for {len(missing)} copies, and "
            f"{name_bytes(free)} are free. Free some space, give another --output_dir, or choose "
            "a smaller --size or --quality."
        )


def _as_options(settings: dict[str, object]) -> str:
    written = (
        f"--{name}" if value is True else f"--{name} {value}"
        for name, value in settings.items()
        if value is not False
    )
    return " ".join(written) or "unknown options"
