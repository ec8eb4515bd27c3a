"""The only module that imports Kaggle's package: quiet, bounded in time, clear when it fails.

The package makes a folder in the home and signs in when it is imported, so that it is imported where
somebody connects (`connection.connect`) and never with this module.
"""

import io
import json
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from pathlib import Path
from typing import Any, TypeVar

import requests

from melanoma.files import write_atomically
from melanoma.kaggle.credentials import redact
from melanoma.kaggle.failures import KaggleError, NotFoundError, RefusedError, UnreachableError
from melanoma.kaggle.patience import Patience
from melanoma.kaggle.service import (
    Accepted,
    DatasetState,
    Output,
    Received,
    Saved,
    Score,
    Status,
    submissions_page,
)
from melanoma.kaggle.transport import RAISED, TOO_MANY, bounded, explain, never_sent, status_code

_LOST = {
    "dataset sources": "invalid_dataset_sources",
    "competition sources": "invalid_competition_sources",
    "kernel sources": "invalid_kernel_sources",
    "model sources": "invalid_model_sources",
    "tags": "invalid_tags",
}
T = TypeVar("T")
_PAGE_SIZE = 100
_CHUNK = 1 << 20
# Of what breaks off; by default the package tries ten times, an upload for an hour.
_ATTEMPTS = 3


def load_package() -> Any:
    """Import Kaggle's package.

    Returns:
        Its client, not signed in: one that retries less, and makes no dataset without a file that
        could not be uploaded.

    Raises:
        ImportError: If the package is damaged.
        OSError: If its folder in the home cannot be made.
    """
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


class Client:
    """As `service.Kaggle` says.

    Args:
        api: Of `load_package`.
        patience: How long to wait for Kaggle.
    """

    def __init__(self, api: Any, patience: Patience) -> None:
        self._patience = patience
        self._api = api
        self._ask("signing in at Kaggle", self._api.authenticate)

    def push(self, folder: Path, ref: str) -> Saved:
        """Save and run a kernel."""
        answer, said = self._ask(
            f"pushing {ref}",
            lambda: self._api.kernels_push(str(folder)),
            unsure=f"Look at https://www.kaggle.com/code/{ref} whether it runs before you push again.",
        )
        lost = {kind: list(getattr(answer, field) or []) for kind, field in _LOST.items()}
        return Saved(
            version=answer.version_number or None,
            url=answer.url or "",
            ref=answer.ref or "",
            error=redact(answer.error or ""),
            lost={kind: names for kind, names in lost.items() if names},
            remarks=said,
        )

    def status(self, ref: str) -> Status:
        """How far a kernel is."""
        answer, _ = self._ask(f"asking how far {ref} is", lambda: self._session_status(ref))
        return Status(answer.status.name, redact(answer.failure_message or ""))

    def log(self, ref: str) -> str:
        """The log of a kernel, as Kaggle keeps it."""
        log, _ = self._ask(f"asking for the log of {ref}", lambda: self._api.kernels_logs(ref))
        return str(log)

    def stream_log(self, ref: str, heard: Callable[[str], None]) -> None:
        """Pass the log on from its beginning, as it is written, until the connection ends."""
        try:
            with bounded(self._patience.timeout_s):
                for event in self._api.kernels_logs_stream(ref):
                    heard(str(event.get("data") or ""))
        except RAISED as error:
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
        what = f"asking how far the dataset {ref} is"
        form = "json(status,current_version_number)"
        try:
            answer, _ = self._ask(
                what, lambda: json.loads(self._api.dataset_status(ref, format=form))
            )
        except NotFoundError:
            return None
        return DatasetState(str(answer["status"]), int(answer["current_version_number"] or 0))

    def create_dataset(self, folder: Path) -> Received:
        """Make a private dataset."""
        return self._send_dataset(
            folder, lambda: self._api.dataset_create_new(str(folder), quiet=True)
        )

    def version_dataset(self, folder: Path, notes: str) -> Received:
        """Make a new version of a dataset."""
        return self._send_dataset(
            folder, lambda: self._api.dataset_create_version(str(folder), notes, quiet=True)
        )

    def _send_dataset(self, folder: Path, send: Callable[[], Any]) -> Received:
        with _fresh_upload():
            answer, _ = self._ask(
                f"uploading the dataset {folder}",
                send,
                unsure="Look at https://www.kaggle.com/datasets whether it is there.",
            )
        error = redact(answer.error or "")
        return Received(
            answer.url or "", answer.status or "", error, list(answer.invalid_tags or [])
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
                # A token that does not change would never end.
                if not page.next_page_token or page.next_page_token == request.page_token:
                    return
                request.page_token = page.next_page_token

    def _download(self, output: Output, path: Path) -> Path:
        # The package would write an error page into the file, and the whole file into memory.
        with requests.get(output.url, stream=True, timeout=self._patience.timeout_s) as response:
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
        for wait_s in self._patience.waits_s():
            said = io.StringIO()
            try:
                with (
                    redirect_stdout(said),
                    redirect_stderr(said),
                    bounded(self._patience.timeout_s),
                ):
                    return call(), redact(said.getvalue().strip())
            except UnreachableError as error:
                failure: KaggleError = error
                got_it = True
            except RAISED as error:
                # Without the chain: it would show what is redacted here.
                failure = explain(error, what, said.getvalue())
                got_it = not never_sent(error) and status_code(error) != TOO_MANY
                if not isinstance(failure, UnreachableError):
                    raise failure from None
            if unsure and got_it:
                raise UnreachableError(f"{failure} {unsure}") from None
            if wait_s is None:
                raise failure from None
            self._patience.sleep(wait_s)
        raise AssertionError("the last wait is None")


def _unsure_of(competition: str) -> str:
    return (
        f"Look at {submissions_page(competition)} whether it has arrived before you submit again."
    )


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
    try:
        with path.open("wb") as file:
            for chunk in response.iter_content(_CHUNK):
                file.write(chunk)
    except requests.RequestException as error:
        # An OSError by descent, and not one of this disk.
        raise explain(error, f"downloading {name}") from None
