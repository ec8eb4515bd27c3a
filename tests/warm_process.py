"""Processes that begin with the packages loaded: forked from one that has loaded them."""

import json
import os
import subprocess
import sys
from pathlib import Path

# Everything that Kaggle's package is made of, but not itself: it reads the environment as it loads.
_PACKAGES = (
    *("pandas", "yaml", "requests", "bleach", "dotenv", "slugify", "dateutil", "tqdm", "kagglesdk"),
    *("google.protobuf.field_mask_pb2", "dateutil.relativedelta", "packaging.version", "zipfile"),
    *("melanoma.kaggle.connection", "melanoma.kaggle.transport", "melanoma.command_line"),
)
_SERVER = f"""
import importlib, json, os, signal, sys, traceback
for name in {_PACKAGES!r}:
    importlib.import_module(name)

def do(task):
    signal.alarm(60)
    os.chdir(task["folder"])
    os.environ.clear()
    os.environ.update(task["environment"])
    for number, name in ((1, "stdout"), (2, "stderr")):
        os.dup2(os.open(task[name], os.O_WRONLY | os.O_CREAT | os.O_TRUNC), number)
    try:
        exec(compile(task["code"], "<code>", "exec"), {{"__name__": "__main__"}})
    except SystemExit as left:
        return left.code or 0
    except BaseException:
        traceback.print_exc()
        return 1
    return 0

for line in sys.stdin:
    child = os.fork()
    if not child:
        code = do(json.loads(line))
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)
    print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), flush=True)
"""


class WarmProcess:
    """Runs code as `python -c` does, in a fifth of the time; each call in a process of its own."""

    def __init__(self, scratch: Path, source: Path) -> None:
        self._scratch = scratch
        self._server = subprocess.Popen(
            [sys.executable, "-c", _SERVER],
            env={"PATH": os.environ["PATH"], "PYTHONPATH": str(source), "OMP_NUM_THREADS": "1"},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def run(
        self, code: str, folder: Path, environment: dict[str, str]
    ) -> subprocess.CompletedProcess[str]:
        """Run code in a folder, with an environment."""
        files = {name: self._scratch / name for name in ("stdout", "stderr")}
        places = {name: str(path) for name, path in files.items()}
        task = {"code": code, "folder": str(folder), "environment": environment, **places}
        stdin, stdout = self._server.stdin, self._server.stdout
        assert stdin is not None
        assert stdout is not None
        stdin.write(json.dumps(task) + "\n")
        stdin.flush()
        exit_code = int(stdout.readline())
        printed = [files[name].read_text(encoding="utf-8") for name in ("stdout", "stderr")]
        return subprocess.CompletedProcess(["python", "-c", code], exit_code, *printed)

    def close(self) -> None:
        """End it."""
        for pipe in (self._server.stdin, self._server.stdout):
            assert pipe is not None
            pipe.close()
        self._server.wait()
