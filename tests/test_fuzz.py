"""A few seconds of what `make torture` does for minutes: nothing but a clear message may come out."""

import logging
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fuzzing import Surface, damage, surfaces
from odd_input import STRATEGIES

# What Pillow and pandas warn of in a damaged file is not our message.
pytestmark = pytest.mark.filterwarnings("ignore")
NAMES = ["images", "tables", "configs", "run files", "weights", "safetensors"]
# Configurations and weights take longer than the others.
N_DAMAGED = {"images": 150, "tables": 100, "run files": 150}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("fuzzed")


@pytest.fixture(scope="module")
def known(folder: Path) -> dict[str, Surface]:
    return {surface.name: surface for surface in surfaces(folder)}


@pytest.fixture(autouse=True)
def _quiet() -> Iterator[None]:
    logging.disable()
    yield
    logging.disable(logging.NOTSET)


def test_every_surface_is_named(known: dict[str, Surface]) -> None:
    assert list(known) == NAMES


@pytest.mark.parametrize("name", ["images", "tables", "configs", "run files"])
def test_right_bytes_are_taken(name: str, known: dict[str, Surface], folder: Path) -> None:
    assert all(known[name].read(folder, seed) for seed in known[name].seeds)


@pytest.mark.parametrize("name", NAMES)
def test_damaged_bytes_are_refused_with_a_message(
    name: str, known: dict[str, Surface], folder: Path
) -> None:
    surface = known[name]
    taken = 0
    for case in range(N_DAMAGED.get(name, 40)):
        random = np.random.default_rng(case)
        first, other = random.integers(len(surface.seeds), size=2)
        taken += surface.read(folder, damage(surface.seeds[first], surface.seeds[other], random))
    assert taken < N_DAMAGED.get(name, 40)


@settings(
    max_examples=40,
    database=None,
    derandomize=True,
)
@pytest.mark.parametrize("name", sorted(STRATEGIES))
@given(data=st.data())
def test_odd_input_is_taken_or_refused_with_a_message(
    name: str, data: st.DataObject, known: dict[str, Surface], folder: Path
) -> None:
    known[name].read(folder, data.draw(STRATEGIES[name]))


def test_damage_depends_on_the_seed_alone() -> None:
    content = bytes(range(100))
    first, second = (
        [damage(content, content[::-1], np.random.default_rng(seed)) for seed in range(20)]
        for _ in range(2)
    )
    assert [seed for seed in range(20) if first[seed] != second[seed]] == []
    assert [seed for seed in range(20) if len(first[seed]) > 1 << 16] == []
