import os
import socket
import socketserver
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from melanoma.errors import ConfigError
from melanoma.training.cluster import address
from melanoma.training.cluster.address import check_answers, make_token
from melanoma.training.cluster.connection import connected

VARIABLES = ("RAY_AUTH_MODE", "RAY_AUTH_TOKEN", "RAY_AUTH_TOKEN_PATH")
TOKEN = "0123abcd"  # noqa: S105 - of a server of these tests


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A home without a token, where nothing is said about tokens."""
    for name in VARIABLES:
        monkeypatch.setenv(name, "")  # so that it is as before afterwards, whatever sets it
        monkeypatch.delenv(name)
    monkeypatch.setenv("HOME", str(tmp_path))
    return tmp_path


@pytest.mark.parametrize("where", ["head", "ray://head:10001", ":6379", "head:port", "head:"])
def test_addresses_that_are_none_are_named(where: str) -> None:
    with pytest.raises(ConfigError, match=f"--ray_address {where}: not understood. Give HOST"):
        check_answers(where)


def test_an_address_where_nobody_listens_is_named_within_seconds() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    with (
        pytest.raises(ConfigError, match=rf"127.0.0.1:{port}: no Ray cluster answers there \(.*st"),
        connected(f"127.0.0.1:{port}"),
    ):
        pass


@contextmanager
def stranger(answer: bytes) -> Iterator[str]:
    """The address of a server of something else."""

    class Handler(socketserver.BaseRequestHandler):
        def handle(self) -> None:
            self.request.sendall(answer)
            with suppress(ConnectionError):
                while self.request.recv(1000):  # until the other side has had enough
                    pass

    with socketserver.ThreadingTCPServer(("127.0.0.1", 0), Handler) as server:
        server.daemon_threads = True  # gRPC lets go of a silent server after 20 s only
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        try:
            yield f"127.0.0.1:{server.server_address[1]}"
        finally:
            server.shutdown()
            thread.join()


def test_what_answers_but_is_no_ray_is_named() -> None:
    with (
        stranger(b"HTTP/1.1 400 Bad Request\r\n\r\n") as where,
        pytest.raises(ConfigError, match=r"what answers there is no Ray cluster"),
    ):
        check_answers(where)


def test_what_never_answers_is_not_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(address, "_ANSWER_S", 0.2)
    with (
        stranger(b"") as where,
        pytest.raises(ConfigError, match=r"no Ray cluster answers there \(timed out\)"),
    ):
        check_answers(where)


class Ray:
    """As much of a cluster's server as is asked: whether it is alive, with the token if it has one."""

    def __init__(self) -> None:
        self.path = "/ray.rpc.NodeInfoGcsService/CheckAlive"
        self.token = ""

    def service(self, call: Any) -> Any:
        """What answers a call; gRPC's own answer to calls that are not known where this is None."""
        import grpc

        def answer(_request: bytes, context: Any) -> bytes:
            sent = dict(call.invocation_metadata).get("authorization")
            if self.token and sent != f"Bearer {self.token}":
                context.abort(grpc.StatusCode.UNAUTHENTICATED, "InvalidAuthToken")
            return b""

        return grpc.unary_unary_rpc_method_handler(answer) if call.method == self.path else None


@pytest.fixture
def ray() -> Iterator[tuple[str, Ray]]:
    grpc = pytest.importorskip("grpc")
    made = Ray()
    with ThreadPoolExecutor(1) as pool:
        server = grpc.server(pool, handlers=[SimpleNamespace(service=made.service)])
        port = server.add_insecure_port("127.0.0.1:0")
        server.start()
        yield f"127.0.0.1:{port}", made
        server.stop(None).wait()


def test_a_cluster_without_a_token_is_asked_for_none(ray: tuple[str, Ray]) -> None:
    check_answers(ray[0])
    assert "RAY_AUTH_MODE" not in os.environ


def test_a_server_of_other_calls_is_no_cluster(ray: tuple[str, Ray]) -> None:
    ray[1].path = "/another.Service/Call"
    with pytest.raises(ConfigError, match=r"what answers there is no Ray cluster"):
        check_answers(ray[0])


@pytest.mark.parametrize("place", ["home", "RAY_AUTH_TOKEN", "RAY_AUTH_TOKEN_PATH"])
def test_the_token_of_this_machine_is_sent_where_one_is_asked_for(
    ray: tuple[str, Ray], place: str, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ray[1].token = TOKEN
    put_token(home, place, TOKEN, monkeypatch)
    check_answers(ray[0])
    assert os.environ["RAY_AUTH_MODE"] == "token"
    check_answers(ray[0])  # as before connecting


@pytest.mark.parametrize("place", ["home", "RAY_AUTH_TOKEN", "RAY_AUTH_TOKEN_PATH"])
def test_another_token_is_named_with_its_place(
    ray: tuple[str, Ray], place: str, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ray[1].token = TOKEN
    put_token(home, place, "another", monkeypatch)
    named = place if place == "RAY_AUTH_TOKEN" else str(home)
    with pytest.raises(ConfigError, match=rf"asks for a token, and does not accept .* {named}"):
        check_answers(ray[0])
    assert "RAY_AUTH_MODE" not in os.environ


def put_token(home: Path, place: str, token: str, monkeypatch: pytest.MonkeyPatch) -> None:
    path = home / (".ray/auth_token" if place == "home" else "a_token")
    path.parent.mkdir(exist_ok=True)
    path.write_text(f"{token}\n")
    if place != "home":
        monkeypatch.setenv(place, token if place == "RAY_AUTH_TOKEN" else str(path))


def test_no_token_is_named_with_where_to_get_it(ray: tuple[str, Ray], home: Path) -> None:
    ray[1].token = TOKEN
    with pytest.raises(
        ConfigError,
        match=rf"asks for a token, and there is none in {home}/.ray/auth_token. Put what `ray get-a",
    ):
        check_answers(ray[0])


def test_what_the_user_has_said_about_tokens_stands(
    ray: tuple[str, Ray], monkeypatch: pytest.MonkeyPatch
) -> None:
    ray[1].token = TOKEN
    monkeypatch.setenv("RAY_AUTH_MODE", "disabled")
    with pytest.raises(ConfigError, match=r"RAY_AUTH_MODE is disabled here. Unset it"):
        check_answers(ray[0])
    make_token()
    assert "RAY_AUTH_TOKEN" not in os.environ
    monkeypatch.setenv("RAY_AUTH_MODE", "k8s")
    check_answers(ray[0])
    assert os.environ["RAY_AUTH_MODE"] == "k8s"


def test_a_cluster_of_this_process_has_one_token() -> None:
    make_token()
    made = os.environ["RAY_AUTH_TOKEN"]
    assert len(made) == 64
    make_token()
    assert os.environ["RAY_AUTH_TOKEN"] == made
