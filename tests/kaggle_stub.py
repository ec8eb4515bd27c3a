"""A stand-in for Kaggle on this machine, and the real client sent to it.

Kaggle's package has no setting for its address. `KAGGLE_API_ENVIRONMENT=LOCALHOST` makes it ask
http://localhost, and `http_proxy` leads that to the stub, on any port; anything over https would end
at a port where nobody answers.
"""

import base64
import json
import os
import subprocess
import textwrap
import threading
from collections import defaultdict, deque
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from warm_python import WarmPython

ROOT = Path(__file__).resolve().parents[1]
USERNAME, KEY, TOKEN = "me", "0f1e2d3c4b5a69788796a5b4c3d2e1f0", "KGAT_5ec7e7a1b2c3d4e5f6"
SIGNATURE = "5167a7u7e0fad0wn10ad"

_PRELUDE = """
import sys
from pathlib import Path
from melanoma.command_line import script
from melanoma.kaggle.client import connect
from melanoma.kaggle.client import RetryPolicy

policy = RetryPolicy(timeout_s={timeout_s}, retries=2, backoff_s=0.01, interval_s=0.01, lapses=3)

@script
def main(arguments):
{code}

sys.exit(main([]))
"""


_CALL = """
import runpy, time
RetryPolicy.__init__.__defaults__ = (120.0, 2, 0.01, 0.01, 3, time.sleep)
sys.exit(runpy.run_path({path!r})["main"]({arguments!r}))
"""


@dataclass(frozen=True)
class Answer:
    """What the stub sends.

    Attributes:
        body: Bytes, or what becomes JSON.
        status: HTTP's.
        content_type: Of the body; JSON for what is no bytes.
        delay_s: Before it is sent.
        missing: How many bytes at the end are announced and not sent.
        headers: Further ones.
    """

    body: Any = field(default_factory=dict)
    status: int = 200
    content_type: str = "application/json"
    delay_s: float = 0.0
    missing: int = 0
    headers: dict[str, str] = field(default_factory=dict)

    @property
    def content(self) -> bytes:
        return self.body if isinstance(self.body, bytes) else json.dumps(self.body).encode()


HTML = Answer(b"<html><body>Please log in to the hotel's network</body></html>", 200, "text/html")
CUT = Answer(b'{"versionNumber": 1, "ur')


@dataclass(frozen=True)
class Request:
    """What the stub got.

    Attributes:
        method: HTTP's.
        path: Without the address.
        body: As sent.
        authorization: The header.
    """

    method: str
    path: str
    body: bytes
    authorization: str

    @property
    def endpoint(self) -> str:
        """The last part of an API call's path, such as SaveKernel; else the whole path."""
        return (
            self.path.rsplit("/", 1)[1]
            if ".v1." in self.path or "Service/" in self.path
            else self.path
        )

    @property
    def json(self) -> dict[str, Any]:
        content: dict[str, Any] = json.loads(self.body)
        return content


class Stub:
    """Answers what it is told to; the last answer to an endpoint is given again and again."""

    def __init__(self, folder: Path, python: WarmPython) -> None:
        self.folder = folder
        self._python = python
        self.requests: list[Request] = []
        self.printed: list[str] = []
        self._answers: dict[str, deque[Answer]] = defaultdict(deque)
        self._closing = threading.Event()
        self._arrival = threading.Condition()
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        self._server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}"
        self.environment = self._environment()
        threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True).start()

    def on(self, endpoint: str, *answers: Any) -> None:
        """Answer an endpoint (`SaveKernel`, `/up/1`): with `Answer`, or what becomes JSON, in turn."""
        taken = [answer if isinstance(answer, Answer) else Answer(answer) for answer in answers]
        self._answers[endpoint] = deque(taken)

    def signed(self, path: str) -> str:
        """An address of the stub as Kaggle gives them, with a signature that is to stay secret."""
        return f"{self.url}{path}?signature={SIGNATURE}"

    def got(self, endpoint: str) -> list[Request]:
        """The requests to an endpoint."""
        return [request for request in self.requests if request.endpoint == endpoint]

    def has_left(self, working: Path) -> None:
        """A kernel is complete, and has left the files of a folder; what others have left is gone."""
        paths = [path for path in sorted(working.rglob("*")) if path.is_file()]
        names = [path.relative_to(working).as_posix() for path in paths]
        for path, name in zip(paths, names):
            self.on(f"/files/{name}", Answer(path.read_bytes(), content_type="a/b"))
        files = [{"fileName": name, "url": self.signed(f"/files/{name}")} for name in names]
        self.on("ListKernelSessionOutput", {"files": files, "log": "[]"})
        self.on("GetKernelSessionStatus", {"status": "COMPLETE"})

    def call(
        self, script: Path, *arguments: str, cwd: Path | None = None, **environment: str
    ) -> subprocess.CompletedProcess[str]:
        """Run one of the scripts, which does not wait between two questions to Kaggle."""
        code = _CALL.format(path=str(script), arguments=[*arguments])
        return self.run(code, timeout_s=120, cwd=cwd, **environment)

    def run(
        self, code: str, timeout_s: float = 10.0, cwd: Path | None = None, **environment: str
    ) -> subprocess.CompletedProcess[str]:
        """Run code as a script would, in a process of its own; `connect` and `policy` are there."""
        text = _PRELUDE.format(
            timeout_s=timeout_s, code=textwrap.indent(textwrap.dedent(code), "    ")
        )
        done = subprocess.run(
            [self._python.path, "-c", text],
            env={**self.environment, **environment},
            cwd=cwd or self.folder,
            capture_output=True,
            text=True,
        )
        self.printed += [done.stdout, done.stderr]
        return done

    def arrived(self, number: int) -> list[Request]:
        """So many requests, once they are here: a client that did not wait may end before."""
        with self._arrival:
            self._arrival.wait_for(lambda: len(self.requests) >= number)
        return self.requests

    def close(self) -> None:
        """Stop answering."""
        self._closing.set()
        self._server.shutdown()
        self._server.server_close()

    def _environment(self) -> dict[str, str]:
        home = self.folder / "home"
        (home / ".kaggle").mkdir(parents=True)
        (self.folder / "tmp").mkdir()
        return {
            "PATH": os.environ["PATH"],
            "PYTHONPATH": str(ROOT / "src"),
            "OMP_NUM_THREADS": "1",
            "TMPDIR": str(self.folder / "tmp"),
            "HOME": str(home),
            "KAGGLE_CONFIG_DIR": str(home / ".kaggle"),
            "KAGGLE_USERNAME": USERNAME,
            "KAGGLE_KEY": KEY,
            "KAGGLE_API_ENVIRONMENT": "LOCALHOST",
            "http_proxy": self.url,
            "https_proxy": "http://127.0.0.1:9",
            "no_proxy": "",
            "NO_PROXY": "",
        }

    def _answer(self, request: Request) -> Answer:
        with self._arrival:
            self.requests.append(request)
            self._arrival.notify_all()
        answers = self._answers[request.endpoint]
        if not answers:
            return Answer({"code": 404, "message": f"no such endpoint: {request.endpoint}"}, 404)
        return answers.popleft() if len(answers) > 1 else answers[0]

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        stub = self

        class Handler(BaseHTTPRequestHandler):
            def _do(self) -> None:
                body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
                # The client asks as one asks a proxy: with the whole address.
                path = urlsplit(self.path).path
                authorization = self.headers.get("Authorization", "")
                self._send(stub._answer(Request(self.command, path, body, authorization)))

            do_GET = do_POST = do_PUT = _do  # noqa: N815

            def _send(self, answer: Answer) -> None:
                stub._closing.wait(answer.delay_s)
                content = answer.content
                self.send_response(answer.status)
                self.send_header("Content-Type", answer.content_type)
                self.send_header("Content-Length", str(len(content)))
                for name, value in answer.headers.items():
                    self.send_header(name, value)
                self.end_headers()
                self.wfile.write(content[: len(content) - answer.missing])

            def log_message(self, *_: Any) -> None:
                """Say nothing."""

            def handle(self) -> None:
                try:
                    super().handle()
                except ConnectionError:
                    return  # a client that did not wait

        return Handler


SECRETS = (KEY, TOKEN, SIGNATURE, base64.b64encode(f"{USERNAME}:{KEY}".encode()).decode())


@contextmanager
def stub_in(folder: Path, python: WarmPython) -> Iterator[Stub]:
    """A stub; when it is left, nothing that its clients have printed may hold anything secret."""
    stub = Stub(folder, python)
    try:
        yield stub
    finally:
        stub.close()
    printed = "".join(stub.printed)
    assert not [secret for secret in SECRETS if secret in printed], printed
