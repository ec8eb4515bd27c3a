"""The one file that Kaggle is sent: a script that carries the project, packed, inside itself."""

import base64
import hashlib
import io
import json
import lzma
import tarfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from melanoma.errors import ConfigError, name_bytes, name_some
from melanoma.kaggle.job import Job, project_file

# Kaggle refuses a kernel whose source has 1 MB or more; the client says nothing about it.
LIMIT = 1_000_000
# What is refused here: the limit may count what is sent around the source, too.
REFUSED_ABOVE = 950_000
_TEMPLATE = "kaggle_kernel/template.py"
_LINE = 100
_NAMED_FILES = 5

# What a kernel runs, each a script of the project.
SCRIPTS = ("create_folds", "train_folds", "predict_folds", "build_submission", "verify_run")


@dataclass(frozen=True)
class Script:
    """A script for Kaggle.

    Attributes:
        text: Of the script.
        files: What is packed in it, by its path there, with its size in bytes.
    """

    text: str
    files: dict[str, int]

    @property
    def n_bytes(self) -> int:
        """Size of the script."""
        return len(self.text.encode())

    def as_text(self) -> str:
        """A line on its size."""
        share = self.n_bytes / LIMIT
        return (
            f"{name_bytes(self.n_bytes)} of the {name_bytes(LIMIT)} that Kaggle takes ({share:.0%}), "
            f"{len(self.files)} files packed"
        )


def source_files(root: Path) -> dict[str, bytes]:
    """The project's code that travels, with the templates of its report, by its path in the bundle.

    Raises:
        ConfigError: If it is not there.
    """
    package = root / "src" / "melanoma"
    paths = [*package.rglob("*.py"), *package.glob("*/templates/*")]
    paths += [root / "scripts" / f"{name}.py" for name in SCRIPTS]
    missing = [path for path in paths if not path.is_file()]
    if missing or len(paths) == len(SCRIPTS):
        raise ConfigError(
            f"{name_some(missing or [root / 'src' / 'melanoma'])}: missing. A kernel is built from a "
            "clone of the project: run the script that lies in it."
        )
    return {path.relative_to(root).as_posix(): path.read_bytes() for path in sorted(paths)}


def write_script(job: Job, files: Mapping[str, bytes], root: Path | None = None) -> Script:
    """Pack a job and its files into a script; the same input gives the same text.

    Args:
        job: What the kernel is asked to do.
        files: By their paths in the bundle.
        root: Of the project; by default the one that this module lies in.

    Raises:
        ConfigError: If it is larger than Kaggle takes, with what is large in it.
    """
    packed = {**files, "job.json": job.as_json().encode()}
    payload = _pack(packed)
    text = project_file(_TEMPLATE, root).read_text(encoding="utf-8")
    lines = base64.b85encode(payload).decode("ascii")
    for mark, content in {
        "@SUMMARY@": _summary(job),
        "@SHA256@": hashlib.sha256(payload).hexdigest(),
        "@PAYLOAD@": "\n".join(lines[at : at + _LINE] for at in range(0, len(lines), _LINE)),
    }.items():
        text = text.replace(mark, content, 1)
    script = Script(text, {name: len(content) for name, content in packed.items()})
    _check_size(script, packed)
    return script


def _pack(files: Mapping[str, bytes]) -> bytes:
    """A tar.xz of sorted names, without times, owners or rights: its bytes are of its content alone."""
    content = io.BytesIO()
    with tarfile.open(fileobj=content, mode="w", format=tarfile.USTAR_FORMAT) as archive:
        for name in sorted(files):
            entry = tarfile.TarInfo(name)
            entry.size = len(files[name])
            archive.addfile(entry, io.BytesIO(files[name]))
    return lzma.compress(content.getvalue(), preset=9 | lzma.PRESET_EXTREME)


def _summary(job: Job) -> str:
    """What the job is, readable in the kernel's source; nothing in it can end the docstring."""
    shown = {
        "mode": job.mode,
        "run": job.run_name,
        "recipe": " ".join([job.config or "", *job.overrides]).strip(),
        "folds": job.folds if job.mode != "ensemble" else "",
        "runs": ", ".join(job.runs),
        "machine": job.accelerator,
        "internet": "on" if job.internet else "off",
        "time": f"{job.time_budget_s} s",
        "commit": job.commit or "not known",
    }
    lines = (f"    {name}: {json.dumps(value)[1:-1]}" for name, value in shown.items() if value)
    return "\n".join(lines).replace("\\", "/").replace('"', "'").replace("@", " at ")


def _check_size(script: Script, files: Mapping[str, bytes]) -> None:
    if script.n_bytes <= REFUSED_ABOVE:
        return
    sizes = {name: len(lzma.compress(content)) for name, content in files.items()}
    largest = sorted(sizes, key=lambda name: (-sizes[name], name))[:_NAMED_FILES]
    named = ", ".join(f"{name} ({name_bytes(sizes[name])} packed)" for name in largest)
    raise ConfigError(
        f"the kernel would have {name_bytes(script.n_bytes)}; more than {name_bytes(REFUSED_ABOVE)} "
        f"are not sent, as Kaggle takes less than {name_bytes(LIMIT)} of source. The largest in it: "
        f"{named}. Make them smaller, or bring them as a dataset."
    )
