import tempfile
from pathlib import Path

import pytest

from melanoma.errors import ConfigError
from melanoma.kaggle import machine
from melanoma.kaggle.machine import find_places


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("MELANOMA_KAGGLE_ROOT", str(tmp_path))
    monkeypatch.setattr(tempfile, "gettempdir", lambda: str(tmp_path / "tmp"))
    return tmp_path


def test_scratch_is_no_part_of_the_output(root: Path) -> None:
    (root / "working").mkdir()
    found = find_places()
    assert found.scratch.is_dir()
    assert found.working not in found.scratch.parents
    assert found.packages.parent == found.weights.parent == found.scratch
    found.check_space()
    assert f"GB in {found.working}" in found.as_text()


def test_outside_of_a_kernel_nothing_is_made(root: Path) -> None:
    with pytest.raises(ConfigError, match=r"working: no such folder, so this is no Kaggle kernel"):
        find_places()
    assert not list(root.iterdir())


def test_a_full_disk_is_named(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (root / "working").mkdir()
    monkeypatch.setattr(machine, "_LEAST_FREE", 10**18)
    with pytest.raises(ConfigError, match=r"working: .* are free, 1000000.0 TB are the least"):
        find_places().check_space()
