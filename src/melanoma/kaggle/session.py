"""What the start of a kernel has found, handed to what runs afterwards with all packages there."""

import json
from dataclasses import dataclass
from pathlib import Path

from melanoma.kaggle.attached import AttachedRun
from melanoma.kaggle.job import Job, parse_job


@dataclass(frozen=True)
class Session:
    """A kernel that has what it needs.

    Attributes:
        job: What it is asked to do.
        bundle: The folder with `src` and `scripts`; paths in the job are relative to it.
        working: For what is kept.
        scratch: For everything else.
        data_dir: The competition folder.
        runs: What earlier kernels have left.
        fold_files: Tables that may be the fold file of a run.
        deadline: When the kernel has to have ended, by `time.monotonic()`.
    """

    job: Job
    bundle: Path
    working: Path
    scratch: Path
    data_dir: Path
    runs: tuple[AttachedRun, ...]
    fold_files: tuple[Path, ...]
    deadline: float

    @property
    def run_dir(self) -> Path:
        """Of the run that is trained or predicted with, or of the blend."""
        return self.working / "runs" / self.job.run

    @property
    def sources(self) -> list[Path]:
        """The folders of the attached runs."""
        return [run.path for run in self.runs]

    def as_json(self) -> str:
        """For `parse_session`."""
        content = {
            "job": self.job.as_json(),
            "runs": [[run.name, str(run.path)] for run in self.runs],
            "fold_files": list(map(str, self.fold_files)),
            "deadline": self.deadline,
            **{name: str(getattr(self, name)) for name in _FOLDERS},
        }
        return json.dumps(content, indent=2) + "\n"


_FOLDERS = ("bundle", "working", "scratch", "data_dir")


def parse_session(text: str) -> Session:
    """Read what `Session.as_json` has written."""
    content = json.loads(text)
    return Session(
        job=parse_job(content["job"]),
        runs=tuple(AttachedRun(name, Path(path)) for name, path in content["runs"]),
        fold_files=tuple(map(Path, content["fold_files"])),
        deadline=content["deadline"],
        **{name: Path(content[name]) for name in _FOLDERS},
    )
