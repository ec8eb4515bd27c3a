import builtins
import os
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from melanoma.errors import ConfigError
from melanoma.training.cluster import connection
from melanoma.training.cluster.connection import connected, import_ray

SOURCE = Path(__file__).resolve().parents[3] / "src"


def test_without_ray_the_command_that_installs_it_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connection, "find_spec", lambda _: None)
    with pytest.raises(ConfigError, match=r"Ray is not installed. .* -r requirements-ray.txt"):
        import_ray()


def test_what_ray_itself_lacks_keeps_its_traceback(monkeypatch: pytest.MonkeyPatch) -> None:
    real = builtins.__import__

    def broken(name: str, *others: Any, **more: Any) -> Any:
        if name == "ray":
            raise ModuleNotFoundError("No module named 'msgpack'", name="msgpack")
        return real(name, *others, **more)

    monkeypatch.setattr(builtins, "__import__", broken)
    with pytest.raises(ModuleNotFoundError, match="msgpack"):
        import_ray()


@pytest.mark.usefixtures("warm")  # which has not loaded Ray
def test_ray_is_loaded_only_where_it_is_asked_for() -> None:
    code = (
        "import melanoma.training.launch, melanoma.training.cluster.node, "
        "melanoma.training.cluster.launcher, sys; print('ray' in sys.modules)"
    )
    environment = {**os.environ, "PYTHONPATH": str(SOURCE)}
    done = subprocess.run(
        [sys.executable, "-c", code], env=environment, capture_output=True, text=True
    )
    assert done.stdout.strip() == "False", done.stderr


class FakeRay:
    """As much of the package as connecting takes."""

    def __init__(self, error: Exception | None) -> None:
        self.error = error
        self.is_up = False
        self.options: dict[str, Any] = {}
        self._private = SimpleNamespace(worker=SimpleNamespace())

    def init(self, **options: Any) -> None:
        self.options = options
        if self.error:
            raise self.error
        self.is_up = True

    def shutdown(self) -> None:
        self.is_up = False


@pytest.mark.parametrize(
    ("error", "message"),
    [
        (
            RuntimeError("Version mismatch: The cluster was started with:\n    Ray: 2.9.0"),
            r"another version of Ray or Python \(The cluster was started with: Ray: 2.9.0\). Install",
        ),
        (
            RuntimeError("No node info found matching attributes: ''"),
            r"this machine is none of its own. .* ray start --address=auto --num-cpus=0",
        ),
        (ConnectionError("Could not find any"), r"no connection to a Ray cluster \(Could not find"),
    ],
)
def test_what_ray_says_is_explained(
    error: Exception, message: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connection, "import_ray", lambda: FakeRay(error))
    with pytest.raises(ConfigError, match=message), connected("auto"):
        pass


def test_without_an_address_ray_is_started_here_and_ended(monkeypatch: pytest.MonkeyPatch) -> None:
    fake = FakeRay(None)
    monkeypatch.delenv("RAY_ADDRESS", raising=False)
    monkeypatch.setattr(connection, "import_ray", lambda: fake)
    monkeypatch.setattr(connection, "make_token", lambda: made.append(True))
    made: list[bool] = []
    with connected(None):
        assert made
        assert fake.is_up
        assert fake.options["address"] == "local"
    assert not fake.is_up


def test_usage_is_not_reported(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("RAY_USAGE_STATS_ENABLED", raising=False)
    pytest.importorskip("ray")
    import_ray()
    assert os.environ["RAY_USAGE_STATS_ENABLED"] == "0"


def test_known_messages_of_ray_are_left_out() -> None:
    shown: list[str] = []

    def show(data: dict[str, Any], ignore_prefix: bool) -> None:
        shown.extend(data["lines"])

    fake = FakeRay(None)
    worker = fake._private.worker
    worker.print_to_stdstream = show
    for _ in range(2):  # a second connection does not wrap it twice
        connection._silence_known_messages(fake)
    for text in ("Raylet is terminated. state", "something new", "has been marked dead because"):
        worker.print_to_stdstream({"lines": [text]}, ignore_prefix=False)
    assert shown == ["something new"]
