"""Tests on XLA: `make test-tpu`, in an environment of its own; skipped where torch_xla is not."""

import os
from importlib.util import find_spec
from pathlib import Path

import pytest

HERE = Path(__file__).resolve().parent


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    if find_spec("torch_xla") and "PJRT_DEVICE" in os.environ:
        return
    for item in items:
        if HERE in item.path.parents:
            item.add_marker(pytest.mark.skip(reason="needs torch_xla: make test-tpu"))
