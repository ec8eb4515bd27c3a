"""The scripts as a user runs them, one thread each, and a small competition to run them on."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from functools import cache
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
ENVIRONMENT = {**os.environ, "OMP_NUM_THREADS": "1", "NO_ALBUMENTATIONS_UPDATE": "1"}
# Anything that takes longer hangs.
LONGEST_S = 600


@dataclass(frozen=True)
class Ended:
    """How a command ended.

    Attributes:
        code: Its exit code; negative for a signal.
        output: All that it printed.
        seconds: Wall time.
    """

    code: int
    output: str
    seconds: float

    @property
    def errors(self) -> list[str]:
        """The messages of what went wrong, a line each."""
        return [line for line in self.output.splitlines() if line.startswith("error: ")]

    @property
    def last_words(self) -> str:
        """The end of the output, on one line."""
        return f"exit code {self.code}: ... " + " / ".join(self.output.splitlines()[-3:])


def start(
    log: Path, script: str, *arguments: str, environment: Mapping[str, str] | None = None
) -> subprocess.Popen[bytes]:
    """Start a script in a session of its own, all its output into a file."""
    command = [sys.executable, str(ROOT / "scripts" / f"{script}.py"), *arguments]
    with log.open("wb") as output:
        return subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
            env={**ENVIRONMENT, **(environment or {})},
            cwd=ROOT,
        )


def run(
    log: Path, script: str, *arguments: str, environment: Mapping[str, str] | None = None
) -> Ended:
    """Run a script to its end."""
    started = time.monotonic()
    process = start(log, script, *arguments, environment=environment)
    return finish(process, log, started)


def finish(process: subprocess.Popen[bytes], log: Path, started: float) -> Ended:
    """Wait for a script that was started; a hang ends with code -9."""
    try:
        process.wait(LONGEST_S)
    except subprocess.TimeoutExpired:
        kill_tree(process)
    output = log.read_text(encoding="utf-8", errors="replace")
    return Ended(process.returncode, output, time.monotonic() - started)


def must_run(log: Path, script: str, *arguments: str) -> Ended:
    """Run a script that the tests rest on; end everything where it fails."""
    ended = run(log, script, *arguments)
    if ended.code:
        sys.exit(f"{script} {' '.join(arguments)}\n{ended.output}")
    return ended


def kill_tree(process: subprocess.Popen[bytes]) -> None:
    """`kill -9` a script with everything it has started.

    Its session is what holds them together: folds and their workers have groups of their own.
    """
    while members := _members(process.pid):
        for member in members:
            with suppress(ProcessLookupError):
                os.kill(member, signal.SIGKILL)
        process.poll()
        time.sleep(0.01)
    process.wait()


def _members(session: int) -> list[int]:
    members = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            with suppress(OSError):
                state, _, _, of_session = _stat(entry)[:4]
                if int(of_session) == session and state not in "ZX":
                    members.append(int(entry.name))
    return members


def _stat(entry: Path) -> list[str]:
    # After the name in brackets, which may hold anything.
    return (entry / "stat").read_text().rpartition(")")[2].split()


@cache
def options_of(script: str) -> str:
    """The text of `--help`: what the script understands."""
    command = [sys.executable, str(ROOT / "scripts" / f"{script}.py"), "--help"]
    return subprocess.run(command, capture_output=True, text=True, env=ENVIRONMENT).stdout


@dataclass(frozen=True)
class Place:
    """A small competition with its folds.

    Attributes:
        root: Where everything is; nothing outside is written.
        data: The competition folder.
        folds_csv: Its fold file.
    """

    root: Path
    data: Path
    folds_csv: Path

    def training(self, run_dir: Path, epochs: int, *more: str) -> list[str]:
        """Arguments of train_folds.py with much random state to lose: every kind there is."""
        return [
            *(f"--run-dir={run_dir}", f"--data.data-dir={self.data}"),
            *(f"--data.folds-csv={self.folds_csv}", f"--trainer.max-epochs={epochs}"),
            *("--data.image-size=16", "--data.batch-size=8", "--data.num-workers=0"),
            *("--data.augmentation=heavy", "--model.backbone=test_resnet", "--model.weights=none"),
            *("--model.dropout=0.2", "--model.ema-decay=0.9", "--model.metadata=true"),
            *("--model.mixup-alpha=0.2", "--early-stopping-patience=50", "--top-k=2"),
            *("--trainer.accelerator=cpu", "--trainer.precision=32-true"),
            *("--trainer.enable-model-summary=false", "--logger=csv", "--photographs=2"),
            *more,
        ]


def make_place(root: Path, n_folds: int = 3) -> Place:
    """Draw the sample, and make its folds."""
    place = Place(root, root / "sample", root / "folds" / "folds.csv")
    size = ("--n-train=60", "--n-test=12", "--image-size-px=32")
    must_run(root / "sample.log", "make_sample", f"--output-dir={place.data}", *size)
    of_sample = (f"--data-dir={place.data}", f"--n-folds={n_folds}", f"--output={place.folds_csv}")
    must_run(root / "folds.log", "create_folds", *of_sample)
    return place


def results_of(run_dir: Path) -> dict[str, bytes]:
    """The files that must come out the same to the byte, by their path in the run folder."""
    names = ("oof.csv", "test.csv", "submission.csv")
    found = (path for name in names for path in run_dir.rglob(name))
    return {str(path.relative_to(run_dir)): path.read_bytes() for path in sorted(found)}
