"""Places behind addresses on this machine: a web server, and a folder as file://."""

import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pandas as pd

from melanoma.tables import INDEX_COLUMNS


class Place:
    """A folder behind an address, and what was asked of it.

    asked: How often each path was read; failures: how often each is still to fail; pages: what is
    still to come in place of each, as if all were well.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.address = ""
        self.asked: Counter[str] = Counter()
        self.failures: Counter[str] = Counter()
        self.refused: set[str] = set()
        self.pages: dict[str, list[bytes]] = {}

    @property
    def photographs_asked(self) -> int:
        return sum(n for path, n in self.asked.items() if path.endswith(".jpg"))


@contextmanager
def web_server(folder: Path) -> Iterator[Place]:
    place = Place(folder)
    handler = partial(_Handler, place, directory=str(folder))
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        place.address = f"http://127.0.0.1:{server.server_port}"
        thread = threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True)
        thread.start()
        try:
            yield place
        finally:
            server.shutdown()
            thread.join()


class _Handler(SimpleHTTPRequestHandler):
    def __init__(self, place: Place, *arguments: Any, **options: Any) -> None:
        self.place = place
        super().__init__(*arguments, **options)

    def do_GET(self) -> None:
        self.place.asked[self.path] += 1
        if self.place.failures[self.path] > 0:
            self.place.failures[self.path] -= 1
            self.send_error(503)
            return
        if self.place.pages.get(self.path):
            page = self.place.pages[self.path].pop()
            self.send_response(200)
            self.send_header("Content-Length", str(len(page)))
            self.end_headers()
            self.wfile.write(page)
            return
        super().do_GET()

    def send_head(self) -> Any:
        if self.path in self.place.refused:
            self.send_error(403)
            return None
        return super().send_head()

    def log_message(self, *_: Any) -> None:
        pass


def write_index(competition: Path) -> None:
    """An images.csv, as scripts/prepare_images.py writes it."""
    rows = [
        (path.stem, split, 48, 36, path.stat().st_size, f"{number:064x}")
        for split in ("train", "test")
        for number, path in enumerate(sorted((competition / "jpeg" / split).iterdir()))
    ]
    pd.DataFrame(rows, columns=INDEX_COLUMNS).to_csv(competition / "images.csv", index=False)
