"""A folder that mimics Kaggle: read-only input, a working folder, no network."""

import os
import shutil
import stat
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

from melanoma.kaggle.job import Job

ROOT = Path(__file__).resolve().parents[1]
NOTEBOOK = "notebooks/me"  # where the outputs of kernels are mounted

TINY = (
    *("--data.image_size=16", "--data.batch_size=4", "--data.num_workers=0"),
    *("--model.backbone=test_resnet", "--model.weights=none", "--model.learning_rate=3e-3"),
    *("--trainer.max_epochs=2", "--trainer.accelerator=cpu", "--trainer.precision=32-true"),
    *("--trainer.enable_model_summary=false", "--logger=csv"),
)

# Mounts are of a namespace of the kernel's own: nothing is left on the machine.
_READ_ONLY = 'mount --bind "$1" "$1" && mount -o remount,bind,ro "$1"'
_SMALL_DISK = 'mount -t tmpfs -o size=1m none "$2"'


@cache
def has_namespaces() -> bool:
    """Whether this machine lets a test mount something for itself."""
    unshare = shutil.which("unshare")
    command = [unshare or "", "-rmn", "sh", "-c", "mount -t tmpfs none /tmp"]
    return unshare is not None and not subprocess.run(command, capture_output=True).returncode


@dataclass
class Ended:
    """A kernel that has ended."""

    code: int
    log: str

    @property
    def last_line(self) -> str:
        return self.log.strip().splitlines()[-1]


@dataclass
class Kernel:
    """One kernel: `input` is filled by the test."""

    root: Path
    environment: dict[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for name in ("input", "working", "bundle/folds", "tmp", "bin"):
            (self.root / name).mkdir(parents=True)
        for name in ("src", "scripts", "configs"):
            (self.bundle / name).symlink_to(ROOT / name)

    @property
    def input(self) -> Path:
        return self.root / "input"

    @property
    def working(self) -> Path:
        return self.root / "working"

    @property
    def bundle(self) -> Path:
        return self.root / "bundle"

    @property
    def submission(self) -> Path:
        return self.working / "submission.csv"

    def attach(self, source: Path, place: str) -> Path:
        return Path(shutil.copytree(source, self.input / place))

    def give_gpus(self, *names: str) -> None:
        program = self.root / "bin" / "nvidia-smi"
        lines = "".join(f"echo 'GPU {n}: {gpu} (UUID: GPU-{n})'\n" for n, gpu in enumerate(names))
        program.write_text(f"#!/bin/sh\n{lines}")
        program.chmod(program.stat().st_mode | stat.S_IEXEC)

    def command(self, job: Job, small_disk: bool = False) -> list[str]:
        (self.bundle / "job.json").write_text(job.as_json())
        kernel = [sys.executable, "-m", "melanoma.kaggle.kernel", str(self.bundle / "job.json")]
        return self._on_kaggle(kernel, small_disk)

    def _on_kaggle(self, command: list[str], small_disk: bool) -> list[str]:
        if not has_namespaces():
            return command
        mounts = f"{_READ_ONLY} && {_SMALL_DISK}" if small_disk else _READ_ONLY
        script = f'{mounts} && shift 2 && exec "$@"'
        places = [str(self.input), str(self.working)]
        return ["unshare", "-rmn", "sh", "-c", script, "sh", *places, *command]

    def variables(self) -> Mapping[str, str]:
        own = {
            "PATH": f"{self.root / 'bin'}{os.pathsep}{os.environ['PATH']}",
            "PYTHONPATH": str(self.bundle / "src"),
            "MELANOMA_KAGGLE_ROOT": str(self.root),
            "TMPDIR": str(self.root / "tmp"),
        }
        return {**os.environ, **own, **self.environment}

    def start(self, job: Job) -> "subprocess.Popen[str]":
        return subprocess.Popen(
            self.command(job), cwd=self.bundle, env=self.variables(), text=True,
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
        )  # fmt: skip

    def run(self, job: Job, small_disk: bool = False) -> Ended:
        return self._run(self.command(job, small_disk), self.bundle, self.variables())

    def run_text(self, text: str, small_disk: bool = False, python: str = "") -> Ended:
        """Execute the one file that Kaggle is sent, in the working folder."""
        path = self.root / "script.py"
        path.write_text(text, encoding="utf-8")
        environment = {k: v for k, v in self.variables().items() if k != "PYTHONPATH"}
        command = self._on_kaggle([python or sys.executable, str(path)], small_disk)
        return self._run(command, self.working, environment)

    def _run(self, command: list[str], folder: Path, environment: Mapping[str, str]) -> Ended:
        ended = subprocess.run(
            command, cwd=folder, env=environment, text=True,
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
        )  # fmt: skip
        return Ended(ended.returncode, ended.stdout)
