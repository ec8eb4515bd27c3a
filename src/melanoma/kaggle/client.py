"""Kaggle's API by its own package: quiet, bounded in time, and clear when it fails.

The package makes a folder in the home and signs in when it is imported: so it is imported by
`connect`, and never with this module.
"""

import io
import json
import re
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from dataclasses import dataclass, field
from importlib.util import find_spec
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import urlsplit

from melanoma.errors import MelanomaError
from melanoma.files import write_atomically
from melanoma.kaggle.failures import (
    TOO_MANY,
    KaggleError,
    NotFoundError,
    NothingSentError,
    RefusedError,
    SessionsTakenError,
    UnreachableError,
    bounded,
    explain,
    never_sent,
    status_code,
)
from melanoma.kaggle.guard import redact

T = TypeVar("T")
_LOST = {
    "dataset sources": "invalid_dataset_sources",
    "competition sources": "invalid_competition_sources",
    "kernel sources": "invalid_kernel_sources",
    "model sources": "invalid_model_sources",
}
_TAKEN = re.compile(r"session count of (\d+) reached", re.IGNORECASE)
_REF = re.compile(r"/?(?:code/)?([\w-]+/[\w-]+)")
_PAGE_SIZE = 100
_CHUNK = 1 << 20
# Of what breaks off; by default the package tries ten times, an upload for an hour.
_ATTEMPTS = 3
_INSTALL = "pip install -r requirements-kaggle.txt"


@dataclass(frozen=True)
class RetryPolicy:
    """How long to wait for Kaggle, and how often to ask again.

    Attributes:
        timeout_s: Without a byte from Kaggle, after which a request is given up.
        retries: How often a request is repeated that Kaggle did not answer.
        backoff_s: Before the first repetition; twice as long before each further one.
        interval_s: Between two looks at what runs at Kaggle.
        lapses: How many looks in a row may fail before following is given up.
        sleep: Waits that many seconds.
    """

    timeout_s: float = 60.0
    retries: int = 4
    backoff_s: float = 2.0
    interval_s: float = 30.0
    lapses: int = 20
    sleep: Callable[[float], None] = time.sleep

    def waits_s(self) -> Iterator[float | None]:
        """How long to wait after each attempt that fails; None after the last.

        >>> list(RetryPolicy(retries=2, backoff_s=1.0).waits_s())
        [1.0, 2.0, None]
        """
        yield from (self.backoff_s * 2**attempt for attempt in range(self.retries))
        yield None


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
    url: str = ""
    remarks: str = ""

    @property
    def versioned_ref(self) -> str:
        """`owner/slug/version`: the name of this very version."""
        return f"{self.ref}/{self.version}"


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
        return self.name in ("COMPLETE", "ERROR", "CANCEL_ACKNOWLEDGED")


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


def page_of(ref: str) -> str:
    """The address of a kernel: `owner/slug`, with or without a version.

    >>> page_of("me/melanoma-fold-0/3")
    'https://www.kaggle.com/code/me/melanoma-fold-0'
    """
    return "https://www.kaggle.com/code/" + "/".join(ref.split("/")[:2])


def submissions_page(competition: str) -> str:
    """The address of one's own submissions."""
    return f"https://www.kaggle.com/competitions/{competition}/submissions"


def connect(policy: RetryPolicy | None = None) -> "Client":
    """Sign in at Kaggle, with the credentials that its package finds.

    Raises:
        NothingSentError: If the package is not installed or damaged, or there are no credentials
            that Kaggle accepts, with how to get them.
        KaggleError: If Kaggle does not answer.
    """
    # kaggle 2.2.4 and 2.2.5 import six, and do not declare it.
    missing = [name for name in ("kaggle", "six") if find_spec(name) is None]
    if missing:
        raise NothingSentError(
            f"{' and '.join(missing)}: not installed, and needed to talk to Kaggle. Install it with "
            f"`{_INSTALL}`. Nothing was sent."
        )
    policy = policy or RetryPolicy()
    try:
        # The package signs in where it is imported, and prints pages of help where it cannot.
        said = io.StringIO()
        with redirect_stdout(said), redirect_stderr(said), bounded(policy.timeout_s):
            api = _load_package()
    except (Exception, SystemExit) as error:
        if isinstance(error, ImportError | OSError) and status_code(error) is None:
            raise NothingSentError(
                f"Kaggle's package cannot be loaded ({redact(str(error))}). Install it again with "
                f"`{_INSTALL}`, and check that ~/.kaggle can be written."
            ) from None
        raise explain(error, "signing in at Kaggle") from None
    return Client(api, policy)


class Client:
    """Kaggle, signed in. Everything raises `KaggleError` where it fails.

    Args:
        api: Of Kaggle's package.
        policy: How long to wait for Kaggle.
    """

    def __init__(self, api: Any, policy: RetryPolicy) -> None:
        self._policy = policy
        self._api = api
        self._ask("signing in at Kaggle", self._api.authenticate)

    def push(self, folder: Path, ref: str) -> Pushed:
        """Save and run the kernel whose kernel-metadata.json is in a folder.

        Raises:
            SessionsTakenError: If as many kernels run as may.
            RefusedError: If Kaggle does not take the kernel, or not with all it needs.
        """
        try:
            answer, said = self._ask(
                f"pushing {ref}",
                lambda: self._api.kernels_push(str(folder)),
                unsure=f"Look at {page_of(ref)} whether it runs before you push again.",
            )
        except RefusedError as error:
            _check_sessions(ref, str(error))
            raise
        # HTTP 200 even where it refuses.
        if answer.error:
            _check_sessions(ref, answer.error)
            raise RefusedError(
                f"{ref}: Kaggle refuses the kernel: {redact(answer.error).rstrip('.')}. Nothing runs; "
                "put it right and push again."
            )
        url, version = answer.url or page_of(ref), answer.version_number
        lost = {
            kind: getattr(answer, name) for kind, name in _LOST.items() if getattr(answer, name)
        }
        if lost:
            named = "; ".join(f"{kind}: {', '.join(names)}" for kind, names in lost.items())
            raise RefusedError(
                f"{ref}: saved as version {version or '?'}, but without what Kaggle does not accept "
                f"({named}). That version may be running now without it: cancel or delete it at {url}. "
                "Check each name, that you may see it, and that you have accepted the rules of the "
                "competition; then push again."
            )
        if not version:
            raise RefusedError(
                f"{ref}: Kaggle's answer names no version. Look at {url} whether it runs before you "
                "push again."
            )
        named_ref = _REF.fullmatch(answer.ref or "")
        return Pushed(named_ref[1] if named_ref else ref, version, url, said)

    def status(self, ref: str) -> Status:
        """How far a kernel is: `owner/slug`, or `owner/slug/version`."""
        answer, _ = self._ask(f"asking how far {ref} is", lambda: self._session_status(ref))
        return Status(answer.status.name, redact(answer.failure_message or ""))

    def log(self, ref: str) -> str:
        """The log of a kernel, as Kaggle keeps it."""
        log, _ = self._ask(f"asking for the log of {ref}", lambda: self._api.kernels_logs(ref))
        return str(log)

    def stream_log(self, ref: str, heard: Callable[[str], None]) -> None:
        """Pass the log on from its beginning, as it is written, until the connection ends."""
        try:
            with bounded(self._policy.timeout_s):
                for event in self._api.kernels_logs_stream(ref):
                    heard(str(event.get("data") or ""))
        except (Exception, SystemExit) as error:
            raise explain(error, f"following the log of {ref}") from None

    def outputs(self, ref: str) -> list[Output]:
        """The files that a kernel has left."""
        what = f"asking for the outputs of {ref}"
        files, _ = self._ask(what, lambda: list(self._pages(ref)))
        return files

    def fetch(self, output: Output, path: Path) -> Path:
        """Download a file; one that breaks off is begun again, and nothing half stays."""
        return self._ask(f"downloading {output.name}", lambda: self._download(output, path))[0]

    def submit(self, csv: Path, message: str, competition: str) -> Accepted:
        """Submit a file to a competition."""
        answer, said = self._ask(
            f"submitting {csv} to {competition}",
            lambda: self._api.competition_submit(str(csv), message, competition, quiet=True),
            unsure=_unsure_of(competition),
        )
        if answer.message in ("", self._api.COMPETITION_SUBMIT_UPLOAD_FAILED_MESSAGE):
            why = f" ({said})" if said else ""
            raise RefusedError(
                f"submitting {csv} to {competition}: the file could not be uploaded{why}; it does not "
                f"count as a submission. Look at {submissions_page(competition)}, and try again."
            )
        return Accepted(redact(answer.message), answer.ref)

    def submit_kernel(
        self, ref: str, version: int, name: str, message: str, competition: str
    ) -> Accepted:
        """Submit the file of that name which a version of a kernel writes, on the hidden test set."""
        answer, _ = self._ask(
            f"submitting version {version} of {ref} to {competition}",
            lambda: self._api.competition_submit_code(
                name, message, competition, ref, version, quiet=True
            ),
            unsure=_unsure_of(competition),
        )
        return Accepted(redact(answer.message), answer.ref)

    def score(self, competition: str, number: int, message: str) -> Score | None:
        """How far a submission is, by its number or else its message; None where it is not listed."""
        listed, _ = self._ask(
            f"asking for the score at {competition}",
            lambda: self._api.competition_submissions(competition) or [],
        )
        for known in listed:  # the newest first
            if known.ref == number if number else known.description == message:
                public, private = known.public_score or "", known.private_score or ""
                return Score(
                    known.status.name, public, private, redact(known.error_description or "")
                )
        return None

    def dataset(self, ref: str) -> DatasetState | None:
        """How far a dataset is; None where there is none that we may see."""
        form = "json(status,current_version_number)"
        try:
            answer, _ = self._ask(
                f"asking how far the dataset {ref} is",
                lambda: json.loads(self._api.dataset_status(ref, format=form)),
            )
        except NotFoundError:
            return None
        return DatasetState(str(answer["status"]), int(answer["current_version_number"] or 0))

    def send_dataset(self, folder: Path, ref: str, notes: str, is_new: bool) -> None:
        """Make a private dataset of a folder with dataset-metadata.json, or a new version of it.

        Raises:
            RefusedError: If Kaggle does not take it.
        """
        with _fresh_upload():
            answer, _ = self._ask(
                f"uploading the dataset {folder}",
                lambda: (
                    self._api.dataset_create_new(str(folder), quiet=True)
                    if is_new
                    else self._api.dataset_create_version(str(folder), notes, quiet=True)
                ),
                unsure="Look at https://www.kaggle.com/datasets whether it is there.",
            )
        if answer.error or (answer.status or "").lower() != "ok":
            why = redact(answer.error or f"status {answer.status!r}")
            raise RefusedError(
                f"{ref}: Kaggle refuses the dataset: {why.rstrip('.')}. Put it right and upload it "
                "again."
            )

    def _session_status(self, ref: str) -> Any:
        from kagglesdk.kernels.types import kernels_api_service as service

        request = service.ApiGetKernelSessionStatusRequest()
        request.user_name, request.kernel_slug, version = self._api.parse_kernel_string(ref)
        if version:
            # As kaggle 2.2.5 does; 2.2.4 leaves the version aside, and after a push might report
            # how the version before it has ended.
            request.version_label = f"v{version}"
        with self._api.build_kaggle_client() as kaggle:
            return kaggle.kernels.kernels_api_client.get_kernel_session_status(request)

    def _pages(self, ref: str) -> Iterator[Output]:
        from kagglesdk.kernels.types import kernels_api_service as service

        owner, slug, _ = self._api.parse_kernel_string(ref)
        request = service.ApiListKernelSessionOutputRequest()
        request.user_name, request.kernel_slug, request.page_size = owner, slug, _PAGE_SIZE
        with self._api.build_kaggle_client() as kaggle:
            while True:
                page = kaggle.kernels.kernels_api_client.list_kernel_session_output(request)
                yield from (Output(file.file_name, file.url) for file in page.files or [])
                if not page.next_page_token:
                    return
                request.page_token = page.next_page_token

    def _download(self, output: Output, path: Path) -> Path:
        import requests

        # The package would write an error page into the file, and the whole file into memory.
        with requests.get(output.url, stream=True, timeout=self._policy.timeout_s) as response:
            response.raise_for_status()
            return write_atomically(path, lambda part: _copy(response, part, output.name))

    def _ask(self, what: str, call: Callable[[], T], unsure: str = "") -> tuple[T, str]:
        """Call the package, a few times where Kaggle does not answer.

        Args:
            what: Is tried, as messages begin.
            call: Of the package.
            unsure: What to do where nobody knows whether it was done: such a call is repeated only
                if Kaggle has not got it. Empty for what may be done twice.

        Returns:
            What the call returns, and what it printed.
        """
        for wait_s in self._policy.waits_s():
            said = io.StringIO()
            try:
                with (
                    redirect_stdout(said),
                    redirect_stderr(said),
                    bounded(self._policy.timeout_s),
                ):
                    return call(), redact(said.getvalue().strip())
            except UnreachableError as error:
                failure: KaggleError = error
                got_it = True
            except MelanomaError:
                raise
            except (Exception, SystemExit) as error:
                # Without the chain: it would show what is redacted here.
                failure = explain(error, what, said.getvalue())
                got_it = not never_sent(error) and status_code(error) != TOO_MANY
                if not isinstance(failure, UnreachableError):
                    raise failure from None
            if unsure and got_it:
                raise UnreachableError(f"{failure} {unsure}") from None
            if wait_s is None:
                raise failure from None
            self._policy.sleep(wait_s)
        raise AssertionError("the last wait is None")


def _load_package() -> Any:
    """Kaggle's client, not signed in: one that retries less, and makes no dataset without a file."""
    from kaggle.api.kaggle_api_extended import KaggleApi

    class Api(KaggleApi):  # type: ignore[misc]  # the package has no types
        MAX_UPLOAD_RESUME_ATTEMPTS = _ATTEMPTS

        def with_retry(self, func: Any, *_: Any, **__: Any) -> Any:
            return super().with_retry(func, max_retries=_ATTEMPTS)

        def upload_files(
            self, request: Any, resources: Any, folder: str, *more: Any, **named: Any
        ) -> None:
            super().upload_files(request, resources, folder, *more, **named)
            wanted = [
                path for path in Path(folder).iterdir() if path.name != self.DATASET_METADATA_FILE
            ]
            if len(request.files) < len(wanted):
                raise RefusedError(
                    f"{folder}: only {len(request.files)} of {len(wanted)} files could be uploaded; "
                    "the dataset was left as it was. Try again."
                )

    return Api()


def _check_sessions(ref: str, text: str) -> None:
    taken = _TAKEN.search(text)
    if taken:
        raise SessionsTakenError(
            f"{ref}: not pushed, {taken[1]} kernels of yours run, which is as many as Kaggle allows. "
            "Wait for one to end, or cancel it at https://www.kaggle.com/code; then push again."
        )


def _unsure_of(competition: str) -> str:
    page = submissions_page(competition)
    return f"Look at {page} whether it has arrived before you submit again."


@contextmanager
def _fresh_upload() -> Iterator[None]:
    """Keep what the package notes of an upload from the next one.

    One that was refused is otherwise taken up again, and refused again, for six days
    (kaggle 2.2.4, `ResumableFileUpload`).
    """
    earlier = tempfile.tempdir
    with tempfile.TemporaryDirectory(prefix="kaggle-") as folder:
        tempfile.tempdir = folder
        try:
            yield
        finally:
            tempfile.tempdir = earlier


def _copy(response: Any, path: Path, name: str) -> None:
    import requests

    try:
        with path.open("wb") as file:
            for chunk in response.iter_content(_CHUNK):
                file.write(chunk)
    except requests.RequestException as error:
        # An OSError by descent, and not one of this disk.
        raise explain(error, f"downloading {name}") from None
