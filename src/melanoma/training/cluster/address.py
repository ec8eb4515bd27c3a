"""The address of a cluster: whether Ray answers there, and whether it asks for a token.

Ray itself tries for minutes, and says why line by line. Of tokens see "Ray token authentication"
(docs.ray.io/en/latest/ray-security/token-auth.html): a cluster of one call asks for one from Ray 2.59
on, one of `ray start` in 2.60 where its first machine has one, and as announced from 2.61 on always.
"""

import os
import secrets
import socket
from pathlib import Path

from melanoma.errors import ConfigError

_ANSWER_S = 5.0
# What Ray's server answers also to what is none of its machines (src/ray/protobuf/gcs_service.proto).
_CHECK_ALIVE = "/ray.rpc.NodeInfoGcsService/CheckAlive"
_MODE, _TOKEN, _TOKEN_PATH = "RAY_AUTH_MODE", "RAY_AUTH_TOKEN", "RAY_AUTH_TOKEN_PATH"


def check_answers(address: str) -> None:
    """Check within seconds that a cluster answers, and accepts this machine's token if it asks.

    Where it does, `RAY_AUTH_MODE` is set, which Ray reads once, when it is imported.

    Raises:
        ConfigError: If not, or the address is not understood.
    """
    host, _, port = address.rpartition(":")
    if "://" in address or not host or not port.isdigit():
        raise ConfigError(
            f"--ray_address {address}: not understood. Give HOST:PORT as `ray start --head` prints it, "
            "or auto, on a machine of the cluster (ray:// is for programs outside it)."
        )
    remedy = "Start it with `ray start --head` there, and check host, port and firewall."
    try:
        socket.create_connection((host.strip("[]"), int(port)), timeout=_ANSWER_S).close()
        if os.environ.get("RAY_USE_TLS") == "1":
            return  # what follows would have to be encrypted
        answer = _ask(address)
        if answer == "UNAUTHENTICATED":
            answer = _ask_with_token(address)
    except (OSError, OverflowError) as error:
        raise ConfigError(
            f"--ray_address {address}: no Ray cluster answers there ({error}). {remedy}"
        ) from error
    if answer != "OK":
        raise ConfigError(
            f"--ray_address {address}: what answers there is no Ray cluster. {remedy}"
        )


def make_token() -> None:
    """Make a token for a cluster of this process alone, unless the user has said how it is to be.

    Ray would write one into the home folder, and `ray start --head` would ask for that from then on.
    It is kept for as long as the process, as Ray reads it once.
    """
    if not any(os.environ.get(name) for name in (_MODE, _TOKEN, _TOKEN_PATH)):
        os.environ[_TOKEN] = secrets.token_hex(32)


def _ask(address: str, token: str = "") -> str:
    """What the server says to being asked whether it is alive, as a status of gRPC.

    Raises:
        TimeoutError: If it says nothing.
    """
    import grpc

    sent = [("authorization", f"Bearer {token}")] if token else None
    # Ray goes by no proxy either.
    with grpc.insecure_channel(address, options=[("grpc.enable_http_proxy", 0)]) as channel:
        try:
            channel.unary_unary(_CHECK_ALIVE)(b"", timeout=_ANSWER_S, metadata=sent)
        except grpc.RpcError as error:
            if error.code() is grpc.StatusCode.DEADLINE_EXCEEDED:
                raise TimeoutError("timed out") from error
            return str(error.code().name)
    return "OK"


def _ask_with_token(address: str) -> str:
    """As `_ask`, of a server that wants a token; what is accepted is used from then on."""
    where = f"--ray_address {address}: the cluster asks for a token"
    mode = os.environ.get(_MODE, "token").lower()
    if mode == "disabled":
        raise ConfigError(f"{where}, and {_MODE} is disabled here. Unset it.")
    if mode != "token":
        return "OK"  # Kubernetes has ways of its own
    place, token = _find_token()
    remedy = (
        "Put what `ray get-auth-token` prints on the cluster's first machine into ~/.ray/auth_token "
        "here, readable by you alone."
    )
    if not token:
        raise ConfigError(f"{where}, and there is none in {place}. {remedy}")
    answer = _ask(address, token)
    if answer == "UNAUTHENTICATED":
        raise ConfigError(f"{where}, and does not accept the one in {place}. {remedy}")
    os.environ[_MODE] = "token"
    return answer


def _find_token() -> tuple[str, str]:
    """Where Ray takes the token of this machine from, and the token; empty if there is none."""
    if os.environ.get(_TOKEN):
        return _TOKEN, os.environ[_TOKEN].strip()
    path = Path(os.environ.get(_TOKEN_PATH) or Path.home() / ".ray" / "auth_token")
    try:
        return str(path), path.read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError):
        return str(path), ""
