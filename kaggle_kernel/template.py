"""A kernel of the melanoma pipeline, made by scripts/push_kernel.py.

@SUMMARY@

Everything it runs is packed into PAYLOAD below: an archive (tar.xz) of the project's source, its
scripts, the recipe and job.json, written as text (base85). To look at it without running anything:
python -c "import runpy, sys; k = runpy.run_path(sys.argv[1]); k['unpack'](k['Path']('x'))" THIS_FILE
"""

import base64
import hashlib
import io
import os
import shutil
import signal
import subprocess
import sys
import tarfile
import tempfile
from pathlib import Path
from types import FrameType

SHA256 = "@SHA256@"
PAYLOAD = """
@PAYLOAD@
"""

# Scratch, not the working folder, which Kaggle keeps as the output. The same path in every session.
FOLDER = Path(tempfile.gettempdir()) / "melanoma_bundle"
MODULE = "melanoma.kaggle.kernel"


def unpack(folder: Path) -> None:
    """Unpack the payload into a folder that is made for it; what an earlier call left is removed."""
    packed = base64.b85decode("".join(PAYLOAD.split()))
    if hashlib.sha256(packed).hexdigest() != SHA256:
        sys.exit("error: the payload of this kernel is damaged. Push it again, and do not edit it.")
    if folder.is_symlink():
        sys.exit(f"error: {folder} is a link. Remove it.")
    if folder.exists():
        shutil.rmtree(folder)
    folder.mkdir(mode=0o700, parents=True)
    with tarfile.open(fileobj=io.BytesIO(packed)) as archive:
        archive.extractall(folder, filter="data")


def run(folder: Path) -> int:
    """Run the job in a process of its own and pass signals on to it; its exit code."""
    paths = [str(folder / "src"), os.environ.get("PYTHONPATH", "")]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, paths))}
    command = [sys.executable, "-u", "-m", MODULE, str(folder / "job.json")]
    started: list[subprocess.Popen[bytes]] = []
    arrived: list[int] = []

    def pass_on() -> None:
        while started and arrived:
            started[0].send_signal(arrived.pop(0))

    def note(number: int, _frame: FrameType | None) -> None:
        arrived.append(number)
        pass_on()

    # Noted from the start: a signal may arrive before Popen has returned.
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, note)
    started.append(subprocess.Popen(command, env=environment))  # noqa: S603 - our own command
    pass_on()
    code = started[0].wait()
    if code >= 0:
        return code
    print(f"the kernel was ended by {signal.Signals(-code).name}", flush=True)
    return 128 - code  # as a shell counts it


def main() -> int:
    """Unpack, run, and end as the job has ended: Kaggle goes by the exit code."""
    print(__doc__, flush=True)
    unpack(FOLDER)
    return run(FOLDER)


if __name__ == "__main__":
    sys.exit(main())
