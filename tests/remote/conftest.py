from collections.abc import Iterator
from pathlib import Path

import pytest

from remote.places import Place, web_server, write_index


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where mirrors are made: the default, under a folder of the test's own."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return tmp_path / "cache" / "melanoma"


@pytest.fixture
def web(competition: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Place]:
    """The tiny competition, with an images.csv, on a web server."""
    monkeypatch.setattr("melanoma.remote.storage._PAUSES_S", (0.0, 0.0, 0.0))
    write_index(competition)
    with web_server(competition) as place:
        yield place
