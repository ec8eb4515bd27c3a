"""Kaggle as a plain object, for what happens above the client: scripted, and without a process."""

import json
from collections import defaultdict, deque
from collections.abc import Callable
from pathlib import Path
from typing import Any

from melanoma.kaggle.build import METADATA
from melanoma.kaggle.client import (
    Accepted,
    Client,
    DatasetState,
    Output,
    Pushed,
    RetryPolicy,
    Score,
    Status,
)

HASTE = RetryPolicy(retries=1, backoff_s=0, interval_s=30, lapses=3, sleep=lambda _: None)


class FakeKaggle(Client):
    """Answers each call with what was put down for it, in turn, the last one again and again.

    A call is named by its method, or by method and reference: `status me/fold-0`. Errors are raised.
    """

    def __init__(self, **answers: Any) -> None:
        self.calls: list[str] = []
        self._answers: dict[str, deque[Any]] = defaultdict(deque)
        for name, listed in answers.items():
            self.on(name, *listed)

    def on(self, name: str, *answers: Any) -> None:
        self._answers[name] = deque(answers)

    def _answer(self, name: str, argument: object) -> Any:
        call = f"{name} {argument}"
        self.calls.append(call)
        answers = self._answers[call if call in self._answers else name]
        answer = answers.popleft() if len(answers) > 1 else answers[0]
        if isinstance(answer, BaseException):
            raise answer
        return answer

    def push(self, folder: Path, ref: str) -> Pushed:
        version: int = self._answer("push", ref)
        return Pushed(ref, version)

    def status(self, ref: str) -> Status:
        status: Status = self._answer("status", ref)
        return status

    def log(self, ref: str) -> str:
        return str(self._answer("log", ref))

    def stream_log(self, ref: str, heard: Callable[[str], None]) -> None:
        for piece in self._answer("stream_log", ref):
            if isinstance(piece, BaseException):
                raise piece
            heard(piece)

    def outputs(self, ref: str) -> list[Output]:
        return list(self._answer("outputs", ref))

    def fetch(self, output: Output, path: Path) -> Path:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(self._answer("fetch", output.name))
        return path

    def submit(self, csv: Path, message: str, competition: str) -> Accepted:
        return Accepted(str(self._answer("submit", message)))

    def submit_kernel(
        self, ref: str, version: int, name: str, message: str, competition: str
    ) -> Accepted:
        return Accepted(str(self._answer("submit_kernel", f"{ref}/{version} {name} {message}")), 7)

    def score(self, competition: str, number: int, message: str) -> Score | None:
        score: Score | None = self._answer("score", number or message)
        return score

    def dataset(self, ref: str) -> DatasetState | None:
        state: DatasetState | None = self._answer("dataset", ref)
        return state

    def send_dataset(self, folder: Path, ref: str, notes: str, is_new: bool) -> None:
        self._answer("send_dataset", ref)


def write_kernel(folder: Path, **changed: Any) -> Path:
    """A folder with a kernel that can be pushed."""
    folder.mkdir(exist_ok=True)
    metadata = {
        "id": "me/melanoma-fold-0",
        "title": "melanoma fold 0",
        "code_file": "kernel.py",
        "language": "python",
        "kernel_type": "script",
        "is_private": True,
        "enable_gpu": True,
        "enable_tpu": False,
        "enable_internet": False,
        "machine_shape": "NvidiaTeslaT4",
        "competition_sources": ["siim-isic-melanoma-classification"],
        **changed,
    }
    (folder / METADATA).write_text(json.dumps(metadata), encoding="utf-8")
    (folder / "kernel.py").write_text("print('größer')\n", encoding="utf-8")
    return folder
