"""A Python that begins with the packages loaded: torch, Lightning and others, imported once a suite.

Half of the suite's time would go into importing them again and again: seven seconds a process. Here a
server that has imported them, and done nothing else, forks. `WarmPython.path` is a program that is
called as Python is (`-m`, `-c` or a script, with `-u` and `-W`): the arguments, environment, working
folder, files, cores, namespaces and process group of the caller become the fork's, whose exit code
becomes the caller's. Our own modules are not loaded before, so that a fork reads them from its path.

What is asked of Python that a fork could not give (other options, variables that Python itself reads
when it starts) is done by the real one. Tests whose subject is a process (signals sent from outside,
kills, imports) start the real one themselves.
"""

import atexit
import ctypes
import gc
import importlib
import json
import os
import runpy
import select
import shlex
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
import traceback
import warnings
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

PACKAGES = (
    *("torch", "lightning.pytorch", "timm", "efficientnet_pytorch", "albumentations", "cv2"),
    *("pandas", "jsonargparse", "sklearn.metrics", "scipy.stats", "imagehash", "yaml", "rich"),
    *("fsspec", "filelock", "PIL.Image", "plotly", "jinja2"),
    # All that Kaggle's package is made of, but not itself: it signs in where it is imported.
    *("requests", "bleach", "dotenv", "slugify", "dateutil.relativedelta", "tqdm", "kagglesdk"),
    *("google.protobuf.field_mask_pb2", "packaging.version", "zipfile"),
)
_CLIENT = Path(__file__).with_name("warm_client.py")
_MOST_BYTES = 1 << 20


class WarmPython:
    """The program, and where it finds the server.

    Args:
        folder: Of both.
    """

    def __init__(self, folder: Path) -> None:
        self.path = folder / "python"
        self._socket = folder / "socket"
        self._server: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start the server; it is not waited for."""
        self.path.parent.mkdir()
        words = [sys.executable, "-I", "-S", str(_CLIENT), sys.executable, str(self.path)]
        command = shlex.join([*words, str(self._socket)])
        self.path.write_text(f'#!/bin/sh\nexec {command} "$@"\n')
        self.path.chmod(0o755)
        environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
        self._server = subprocess.Popen(
            [sys.executable, __file__, str(self._socket)],
            env={**environment, "OMP_NUM_THREADS": "1"},
            stdin=subprocess.PIPE,
        )

    def wait(self) -> None:
        """Wait for the server, whoever has started it."""
        while not self._socket.exists():
            if _failed(self._socket).exists():
                raise RuntimeError("the packages cannot be imported; the reason is above")
            time.sleep(0.02)

    def close(self) -> None:
        """End the server; forks go on."""
        if self._server is not None:
            self._server.communicate()  # it ends with its input


def _failed(listening: Path) -> Path:
    return listening.with_suffix(".failed")


def serve(listening: str) -> Callable[[], object] | None:
    """Fork for every client; in a fork, what it is to do is returned."""
    try:
        for name in PACKAGES:
            importlib.import_module(name)
    except BaseException:
        _failed(Path(listening)).touch()  # whoever waits is told
        raise
    base = sys.path[1:]
    server = socket.socket(socket.AF_UNIX)
    server.bind(f"{listening}.new")
    server.listen(64)
    os.rename(f"{listening}.new", listening)  # whoever finds it is answered
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    gc.freeze()
    while True:
        ready, _, _ = select.select([server.fileno(), 0], [], [])
        if 0 in ready:  # the suite has ended
            return None
        client, _ = server.accept()
        if not os.fork():
            server.close()
            return _keep(client, base)
        client.close()


def _keep(client: socket.socket, base: list[str]) -> Callable[[], object]:
    """Fork once more, and stand between the client and the fork until one of them ends."""
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    message, files, _, _ = socket.recv_fds(client, _MOST_BYTES, 3)
    while not message.endswith(b"\n"):
        message += client.recv(_MOST_BYTES)
    task = json.loads(message)
    fork = os.fork()
    if not fork:
        client.close()
        return _become(task, files, base)
    for number in (*files, 0, 1, 2):
        os.close(number)
    ended = os.pidfd_open(fork)
    while True:
        ready, _, _ = select.select([client.fileno(), ended], [], [])
        if ended in ready:
            code = os.waitstatus_to_exitcode(os.waitpid(fork, 0)[1])
            with suppress(OSError):
                client.sendall(str(code).encode())
            os._exit(0)
        sent = client.recv(1)
        os.kill(fork, sent[0] if sent else signal.SIGKILL)  # a client that is gone was killed
        if not sent:
            os._exit(0)


def _become(task: dict[str, Any], files: list[int], base: list[str]) -> Callable[[], object]:
    client = task["client"]
    _enter_namespaces(client)
    with suppress(OSError):
        os.setpgid(0, task["group"])  # of another session it cannot be
    for number, file in enumerate(files):
        os.dup2(file, number)
        os.close(file)
    os.chdir(task["folder"])
    os.environ.clear()
    os.environ.update(task["environment"])
    os.sched_setaffinity(0, task["cores"])
    # What was made of the environment when the packages were loaded.
    tempfile.tempdir = None
    importlib.import_module("torch").set_num_threads(int(os.environ.get("OMP_NUM_THREADS", "1")))
    sys.executable = task["program"]
    paths = list(filter(None, os.environ.get("PYTHONPATH", "").split(os.pathsep)))
    kind, what, arguments = task["kind"], task["what"], task["arguments"]
    first = str(Path(what).resolve().parent) if kind == "script" else ""
    sys.path[:] = [first if kind != "-m" else os.getcwd(), *paths, *base]
    sys.argv[:] = ["-c" if kind == "-c" else what, *arguments]
    if task["unbuffered"]:
        for stream in (sys.stdout, sys.stderr):
            stream.reconfigure(write_through=True)  # type: ignore[union-attr]
    for option in task["warnings"]:
        warnings._setoption(option)  # type: ignore[attr-defined]
    # The launcher of a process is known by it (training/processes.py): the client's parent.
    os.getppid = lambda: _parent_of(client)
    if kind == "-m":
        return lambda: runpy.run_module(what, run_name="__main__", alter_sys=True)
    if kind == "-c":
        main = sys.modules["__main__"].__dict__
        main.pop("__file__", None)
        return lambda: exec(compile(what, "<string>", "exec"), main)  # noqa: S102
    return lambda: runpy.run_path(what, run_name="__main__")


def _enter_namespaces(client: int) -> None:
    """Follow the client to where it cannot see the network, or sees other mounts."""
    setns = ctypes.CDLL(None, use_errno=True).setns
    for kind in ("user", "mnt", "net"):
        theirs = f"/proc/{client}/ns/{kind}"
        if os.readlink(theirs) != os.readlink(f"/proc/self/ns/{kind}"):
            number = os.open(theirs, os.O_RDONLY)
            if setns(number, 0):
                raise OSError(ctypes.get_errno(), f"setns {kind}")
            os.close(number)


def _parent_of(number: int) -> int:
    try:
        return int(Path(f"/proc/{number}/stat").read_text().rpartition(")")[2].split()[1])
    except OSError:
        return 1


def end_after(do: Callable[[], object]) -> None:
    """End this process as Python ends one, but for taking modules apart, which takes half a second."""
    code = 0
    try:
        do()
    except SystemExit as left:
        code = left.code if isinstance(left.code, int) else int(left.code is not None)
        if isinstance(left.code, str):
            print(left.code, file=sys.stderr)
    except BaseException as error:
        traceback.print_exc()
        code = -signal.SIGINT if isinstance(error, KeyboardInterrupt) else 1
    threading._shutdown()  # type: ignore[attr-defined]
    atexit._run_exitfuncs()
    for stream in (sys.stdout, sys.stderr):
        with suppress(OSError, ValueError):
            stream.flush()
    if code < 0:
        signal.signal(-code, signal.SIG_DFL)
        os.kill(os.getpid(), -code)
    os._exit(code & 0xFF)


if __name__ == "__main__":
    end_after(serve(sys.argv[1]) or (lambda: None))
