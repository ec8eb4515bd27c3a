"""What this project asks of Kaggle, and what comes back: without Kaggle's package."""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol
from urllib.parse import urlsplit

_OVER = ("COMPLETE", "ERROR", "CANCEL_ACKNOWLEDGED")


@dataclass(frozen=True)
class Saved:
    """What Kaggle says to a push; HTTP 200 even where it refuses.

    Attributes:
        version: Of the kernel; None where none was made.
        url: Where it is to be looked at.
        ref: `owner/slug`, where Kaggle says it.
        error: Why it was not saved; empty if it was.
        lost: What the kernel was saved without, by kind: sources and tags that Kaggle did not take.
        remarks: What the package printed on the way.
    """

    version: int | None = None
    url: str = ""
    ref: str = ""
    error: str = ""
    lost: Mapping[str, Sequence[str]] = field(default_factory=dict)
    remarks: str = ""


@dataclass(frozen=True)
class Status:
    """How far a kernel is.

    Attributes:
        name: QUEUED, RUNNING, COMPLETE, ERROR, CANCEL_REQUESTED, CANCEL_ACKNOWLEDGED or NEW_SCRIPT.
        message: Of a failure.
    """

    name: str
    message: str = ""

    @property
    def is_over(self) -> bool:
        """Whether it has ended, well or not."""
        return self.name in _OVER


@dataclass(frozen=True)
class Output:
    """A file that a kernel has left.

    Attributes:
        name: With the folders it is in, parted by `/`.
        url: Signed: not to be shown.
    """

    name: str
    url: str = field(repr=False)

    @property
    def origin(self) -> str:
        """What of the address stays the same when it is signed anew: of another version, another.

        >>> Output("a", "https://www.kaggleusercontent.com/kf/12/eyJhbGci/a?x=1").origin
        'www.kaggleusercontent.com/kf/12'
        """
        address = urlsplit(self.url)
        session = re.match(r"/kf/\d+(?=/)", address.path)
        return address.netloc + (session[0] if session else address.path)


@dataclass(frozen=True)
class DatasetState:
    """How far a dataset is.

    Attributes:
        status: `ready`, `failed`, or a step of the processing, in small letters.
        version: The current one; 0 where Kaggle does not say.
    """

    status: str
    version: int = 0


@dataclass(frozen=True)
class Received:
    """What Kaggle says to a dataset; HTTP 200 even where it refuses.

    Attributes:
        url: Where it is to be looked at.
        status: `ok`, or something else.
        error: Why it was not made; empty if it was.
        lost: Tags that Kaggle did not take.
    """

    url: str = ""
    status: str = ""
    error: str = ""
    lost: Sequence[str] = ()


@dataclass(frozen=True)
class Accepted:
    """What Kaggle says to a submission.

    Attributes:
        message: To be shown.
        number: Of the submission; 0 where Kaggle does not say.
    """

    message: str
    number: int = 0


@dataclass(frozen=True)
class Score:
    """How far Kaggle is with a submission.

    Attributes:
        status: PENDING, COMPLETE or ERROR.
        public: The score on the public leaderboard; empty for none.
        private: The same of the private one, once it is shown.
        error: Why there is none.
    """

    status: str
    public: str = ""
    private: str = ""
    error: str = ""


def submissions_page(competition: str) -> str:
    """The address of one's own submissions."""
    return f"https://www.kaggle.com/competitions/{competition}/submissions"


class Kaggle(Protocol):
    """What this project asks of Kaggle. Everything raises `KaggleError` where it fails."""

    def push(self, folder: Path, ref: str) -> Saved:
        """Save and run the kernel whose kernel-metadata.json is in a folder."""

    def status(self, ref: str) -> Status:
        """How far a kernel is: `owner/slug`, or `owner/slug/version`."""

    def log(self, ref: str) -> str:
        """The log of a kernel, as Kaggle keeps it."""

    def stream_log(self, ref: str, heard: Callable[[str], None]) -> None:
        """Pass the log on from its beginning, as it is written, until the connection ends."""

    def outputs(self, ref: str) -> list[Output]:
        """The files that a kernel has left."""

    def fetch(self, output: Output, path: Path) -> Path:
        """Download a file."""

    def submit(self, csv: Path, message: str, competition: str) -> Accepted:
        """Submit a file to a competition."""

    def submit_kernel(
        self, ref: str, version: int, name: str, message: str, competition: str
    ) -> Accepted:
        """Submit the file of that name which a version of a kernel writes, on the hidden test set."""

    def score(self, competition: str, number: int, message: str) -> Score | None:
        """How far a submission is, by its number or else its message; None where it is not listed."""

    def dataset(self, ref: str) -> DatasetState | None:
        """How far a dataset is; None where there is none that we may see."""

    def create_dataset(self, folder: Path) -> Received:
        """Make a private dataset of the files of a folder, with its dataset-metadata.json."""

    def version_dataset(self, folder: Path, notes: str) -> Received:
        """Make a new version of a dataset."""
