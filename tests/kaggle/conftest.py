from collections.abc import Iterator
from pathlib import Path

import pytest

from kaggle_stub import Stub, stub_in
from warm_python import WarmPython


@pytest.fixture
def stub(tmp_path: Path, warm_python: WarmPython) -> Iterator[Stub]:
    folder = tmp_path / "stub"
    folder.mkdir()
    with stub_in(folder, warm_python) as stub:
        yield stub
