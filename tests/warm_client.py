"""The program of a `WarmPython`: asks its server for a fork, and ends as the fork ends.

It is called with the real Python, its own path, the server's socket, and the caller's arguments.
The standard library alone is imported, and little of it: this is what a process costs.
"""

import json
import os
import signal
import socket
import sys

# Variables that Python reads when it starts, which a fork has done already.
HARMLESS = ("PYTHONPATH", "PYTHONUNBUFFERED", "PYTHONDONTWRITEBYTECODE")
PASSED_ON = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGUSR1, signal.SIGUSR2)


def understood(arguments: list[str]) -> dict[str, object] | None:
    """What Python is asked to do; None where a fork cannot do it."""
    arguments = list(arguments)
    unbuffered = "PYTHONUNBUFFERED" in os.environ
    if arguments[:1] == ["-u"]:
        unbuffered = True
        del arguments[0]
    warnings = []
    while arguments[:1] == ["-W"]:
        warnings.append(arguments[1])
        del arguments[:2]
    kind = "script"
    if arguments[:1] in (["-m"], ["-c"]):
        kind = arguments.pop(0)
    # PYTHON3 and PYTHON312 are no variables of Python's: make passes them on to what it starts.
    of_python = (
        name for name in os.environ if name.startswith("PYTHON") and not name[6:7].isdigit()
    )
    special = [name for name in of_python if name not in HARMLESS]
    if special or not arguments or (kind == "script" and arguments[0].startswith("-")):
        return None
    asked = {"kind": kind, "what": arguments[0], "arguments": arguments[1:]}
    return {**asked, "unbuffered": unbuffered, "warnings": warnings}


def main(real: str, program: str, listening: str, *arguments: str) -> None:
    """Ask, wait, and end."""
    task = understood([*arguments])
    connection = socket.socket(socket.AF_UNIX)
    try:
        if task is None:
            raise OSError
        connection.connect(listening)
    except OSError:
        os.execv(real, [real, *arguments])  # noqa: S606
    assert task is not None
    task |= {
        "program": program,
        "environment": dict(os.environ),
        "folder": os.getcwd(),
        "cores": list(os.sched_getaffinity(0)),
        "client": os.getpid(),
        "group": os.getpgid(0),
    }
    for number in PASSED_ON:
        if signal.getsignal(number) is not signal.SIG_IGN:
            signal.signal(number, lambda number, _: connection.send(bytes([number])))
    message = json.dumps(task).encode() + b"\n"
    socket.send_fds(connection, [message[:1]], [0, 1, 2])
    connection.sendall(message[1:])
    answer = connection.recv(16)
    code = int(answer or b"70")
    if code < 0:
        if -code not in (signal.SIGKILL, signal.SIGSTOP):
            signal.signal(-code, signal.SIG_DFL)
        os.kill(os.getpid(), -code)
    os._exit(code)


if __name__ == "__main__":
    main(*sys.argv[1:])
