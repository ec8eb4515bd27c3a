"""Which of the files that travel are not committed, so that a run can be traced to its code."""

import shutil
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from melanoma.children import run_child

_SHOWN = 12


@dataclass(frozen=True)
class Tracked:
    """What version control knows of some files.

    Attributes:
        commit: Of the project; empty where it is in no repository.
        changed: Files that are not as committed, or not committed at all.
    """

    commit: str
    changed: tuple[str, ...]

    @property
    def note(self) -> str:
        """For `Job.commit`."""
        n_changed = len(self.changed)
        files = "file differs" if n_changed == 1 else "files differ"
        return f"{self.commit} ({n_changed} {files})" if self.commit and n_changed else self.commit

    def as_text(self) -> str:
        """What to say before it travels; empty where all is committed."""
        if not self.commit:
            return "not in a git repository: nobody can tell later which code it was"
        listed = "\n".join(f"    {name}" for name in self.changed[:_SHOWN])
        more = len(self.changed) - _SHOWN
        rest = f"\n    and {more} more" if more > 0 else ""
        return f"not as committed:\n{listed}{rest}" if self.changed else ""


def look_up(root: Path, names: Iterable[str]) -> Tracked:
    """Ask git about files of the project.

    Args:
        root: Of the project.
        names: Paths in it; a whole path of a file elsewhere is none that git knows.
    """
    wanted = sorted(names)
    inside = [
        name for name in wanted if not Path(name).is_absolute() and ".." not in Path(name).parts
    ]
    commit = _git(root, "rev-parse", "HEAD")
    # A repository further up is none of this project.
    if commit is None or not (root / ".git").exists():
        return Tracked("", ())
    known = _git(root, "ls-files", "-z", "--", *inside)
    differing = _git(root, "diff", "--name-only", "-z", "--no-renames", "HEAD", "--", *inside)
    if known is None or differing is None:
        return Tracked("", ())
    tracked = set(known.split("\0")) - set(differing.split("\0"))
    return Tracked(commit.strip(), tuple(name for name in wanted if name not in tracked))


def _git(root: Path, *words: str) -> str | None:
    """What git prints; None where there is no git, or it fails."""
    git = shutil.which("git")
    if git is None:
        return None
    command = [git, "--literal-pathspecs", "-C", str(root), "-c", "core.quotePath=off", *words]
    done = run_child(command, capture=True)
    return None if done.returncode else done.stdout
