"""The writing of every artefact made to fail in turn: a message, no half file, and then the rest."""

import errno
import os
import shutil
import subprocess
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from shutil import which

from commands import ROOT, Ended, Place, must_run, results_of, run
from row import Row

KINDS = {"no space": errno.ENOSPC, "no permission": errno.EACCES, "I/O error": errno.EIO}
EPOCHS = 1
# Of the copies and the drawn photographs, which are many and alike, one is enough.
_ALIKE = (".jpg", ".png")
# Of an actual file system, in bytes: less than a checkpoint.
_TOO_SMALL = 300_000


@dataclass(frozen=True)
class Step:
    """A script and the folder that it writes.

    Attributes:
        script: Its name.
        arguments: Of it; OUT stands for the folder.
        whole: The folder as the undisturbed script left it.
    """

    script: str
    arguments: tuple[str, ...]
    whole: Path

    def into(self, out: Path) -> list[str]:
        """The arguments for another folder."""
        return [argument.replace("OUT", str(out)) for argument in self.arguments]

    def artefacts(self) -> list[Path]:
        """What it writes, relative to its folder; one of those that are alike."""
        found = (path.relative_to(self.whole) for path in sorted(self.whole.rglob("*")))
        files = [path for path in found if (self.whole / path).is_file()]
        first = {(path.parent, path.suffix): path for path in reversed(files)}
        return [p for p in files if p.suffix not in _ALIKE or first[p.parent, p.suffix] == p]


def test_writing(place: Place, kinds: Sequence[str], side_by_side: int) -> Row:
    """Make the writing of each artefact of each script fail, in each way, and then repeat the command.

    Args:
        place: Where.
        kinds: Of failures, by their names in `KINDS`.
        side_by_side: Commands at a time.
    """
    steps = _steps(place)
    jobs = [(step, path, kind) for step in steps for path in step.artefacts() for kind in kinds]

    def one(number: int) -> str:
        step, path, kind = jobs[number]
        out = place.root / f"failing_{number:03d}" / "out"
        problem = _fail_and_repeat(step, path, kind, out)
        return problem and f"{step.script}, {path}, {kind}: {problem}"

    with ThreadPoolExecutor(side_by_side) as pool:
        wrong = [problem for problem in pool.map(one, range(len(jobs))) if problem]
    found = f"{len(jobs) - len(wrong)} of {len(jobs)}"
    on_disk = _on_a_full_disk(place, next(step for step in steps if step.script == "train_folds"))
    return Row(
        f"writing made to fail: {len({(s.script, p) for s, p, _ in jobs})} artefacts x "
        f"{len(kinds)} kinds",
        "one message with the path each, no half file, resume completes with the same bytes",
        f"{found}; {on_disk or 'and on a disk that was full, and read-only'}",
        not wrong and "wrong" not in on_disk,
        tuple(wrong),
    )


def _steps(place: Place) -> list[Step]:
    whole = place.root / "whole"
    data = f"--data-dir={place.data}"
    steps = [
        Step("create_folds", (data, "--n-folds=2", "--output=OUT/folds.csv"), whole / "folds"),
        Step(
            "prepare_images",
            (data, "--output-dir=OUT", "--size=16", "--num-workers=1"),
            whole / "copies",
        ),
        Step(
            "train_folds",
            tuple(place.training(Path("OUT"), EPOCHS, "--fold=0")),
            whole / "run",
        ),
    ]
    for step in steps:
        must_run(place.root / f"whole_{step.script}.log", step.script, *step.into(step.whole))
    finished = place.root / "finished"
    log = place.root / "finished.log"
    must_run(log, "train_folds", *place.training(finished, EPOCHS, "--fold=all"))
    submit = Step(
        "build_submission", (f"--run-dir={finished}", "--out-dir=OUT"), whole / "submission"
    )
    must_run(log, submit.script, *submit.into(submit.whole))
    return [*steps, submit]


def _fail_and_repeat(step: Step, path: Path, kind: str, out: Path) -> str:
    out.parent.mkdir()
    log, fired = out.with_suffix(".log"), out.with_name("fired")
    environment = {
        "TORTURE_FILE": str(out / path),
        "TORTURE_ERRNO": str(KINDS[kind]),
        "TORTURE_FIRED": str(fired),
        "PYTHONPATH": str(ROOT / "torture" / "inject"),
    }
    failed = run(log, step.script, *step.into(out), environment=environment)
    if not fired.exists():
        return "was not made to fail"
    if problem := _judge(failed, out / path):
        return problem
    return _repeat(step, out, log)


def _judge(failed: Ended, path: Path) -> str:
    if failed.code != 2 or "Traceback" in failed.output:
        return failed.last_words
    # The launcher says once more that the process of a fold has stopped.
    naming = [line for line in failed.errors if path.name in line]
    if len(naming) != 1:
        return f"{len(naming)} messages name it: {failed.last_words}"
    return "half of it was left" if path.exists() else ""


def _repeat(step: Step, out: Path, log: Path) -> str:
    repeated = run(log, step.script, *step.into(out))
    if repeated.code:
        return f"not completed: {repeated.last_words}"
    if results_of(out) != results_of(step.whole):
        return "completed with other bytes"
    strange = _names(out) ^ _names(step.whole)
    shutil.rmtree(out.parent)
    return f"files left or missing: {', '.join(sorted(strange))}" if strange else ""


def _names(folder: Path) -> set[str]:
    return {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()}


def _on_a_full_disk(place: Place, step: Step) -> str:
    """Train into a file system that is too small, then read-only, then large enough."""
    disk = place.root / "disk"
    disk.mkdir()
    if not _mount(f"size={_TOO_SMALL}", disk):
        return "no actual full disk: mounting is not allowed here"
    out, log = disk / "run", place.root / "disk.log"
    try:
        for options in (f"remount,size={_TOO_SMALL}", f"remount,ro,size={_TOO_SMALL}"):
            _mount(options, disk)
            failed = run(log, step.script, *step.into(out))
            if failed.code != 2 or "Traceback" in failed.output or str(out) not in failed.output:
                return f"wrong on an actual disk ({options}): {failed.last_words}"
        _mount("remount,rw,size=1g", disk)
        repeated = run(log, step.script, *step.into(out))
        if repeated.code or results_of(out) != results_of(step.whole):
            return f"wrong on a disk that was full: {repeated.last_words}"
    finally:
        subprocess.run([which("umount") or "umount", str(disk)], check=False)
    return ""


def _mount(options: str, disk: Path) -> bool:
    if os.geteuid():
        return False
    command = ["mount", "-t", "tmpfs", "-o", options, "torture", str(disk)]
    return subprocess.run(command, capture_output=True, check=False).returncode == 0
