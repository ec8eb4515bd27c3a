from collections.abc import Iterator
from pathlib import Path

import pytest

from kaggle_stub import ROOT, Stub, stub_in
from warm_process import WarmProcess


@pytest.fixture(scope="session")
def warm_process(tmp_path_factory: pytest.TempPathFactory) -> Iterator[WarmProcess]:
    process = WarmProcess(tmp_path_factory.mktemp("printed"), ROOT / "src")
    yield process
    process.close()


@pytest.fixture
def stub(tmp_path: Path, warm_process: WarmProcess) -> Iterator[Stub]:
    folder = tmp_path / "stub"
    folder.mkdir()
    with stub_in(folder, warm_process) as stub:
        yield stub
