"""What may travel: nothing secret, and what is not committed is named."""

import json
import os
import re
import shlex
import shutil
from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from melanoma.children import run_child
from melanoma.errors import ConfigError, MelanomaError, name_some

# Detectors of detect-secrets that go by the words around: they find names of variables.
_GUESSES = {"Artifactory Credentials", "Cloudant Credentials", "IBM Cloud IAM Key",
            "IBM COS HMAC Credentials", "Public IP (ipv4)", "SoftLayer Credentials"}  # fmt: skip
# Forms which it does not know: each is published by the service that issues it.
_FURTHER = {
    "Kaggle API key": r"""["']key["']\s*:\s*["'][0-9a-f]{32}["']""",
    "Kaggle API token": r"\bKGAT_[0-9A-Za-z]{16,}",
    "Hugging Face token": r"\bhf_[A-Za-z0-9]{30,}",
    "GitHub fine-grained token": r"\bgithub_pat_[A-Za-z0-9_]{22,}",
    "Anthropic API key": r"\bsk-ant-[A-Za-z0-9_-]{20,}",
    "Google API key": r"\bAIza[A-Za-z0-9_-]{35}",
    "Weights & Biases key": r"(?i)wandb\w*\W{1,5}[0-9a-f]{40}\b",
}
_SECRET_NAMES = re.compile(r"TOKEN|SECRET|PASSWORD|PASSWD|API_KEY|KAGGLE_KEY", re.IGNORECASE)
_QUERY = re.compile(r"\?[^\s'\"<>()]*=[^\s'\"<>()]*")
_USER_OF_ADDRESS = re.compile(r"(?<=//)[^/\s@'\"]+@")
_AUTHORIZATION = re.compile(r"\b(Bearer|Basic)\s+[\w+/=.~-]{8,}")
# A shorter one is a word that may be anywhere.
_SHORTEST = 8
_MISSING = (
    "detect-secrets is not installed, which looks for secrets in what is sent. Run pip install -r "
    "requirements-kaggle.txt."
)
_SHOWN_FILES = 12


class SecretError(MelanomaError):
    """Something secret would have been published."""


def check_no_secrets(
    files: Mapping[str, bytes],
    own: Mapping[str, str] | None = None,
    allowed: Collection[str] = (),
) -> None:
    """Check that no file holds a token, a key or a password.

    Args:
        files: By their names.
        own: The secrets of this machine with the name of each; by default `own_secrets()`.
        allowed: Names of finds that are none, as the message has them; of what signs in at Kaggle
            nothing may travel.

    Raises:
        SecretError: Naming each kind of find with its files and lines, never the secret.
        ConfigError: If detect-secrets is not installed.
    """
    known = own_secrets() if own is None else own
    detectors = _create_detectors()
    places: dict[str, list[str]] = defaultdict(list)
    for name, content in sorted(files.items()):
        for number, what in _find(content.decode("utf-8", "replace"), known, detectors):
            if what not in allowed or _signs_in(what):
                places[what].append(f"{name}, line {number}")
    if places:
        found = "; ".join(f"{what} ({name_some(where)})" for what, where in places.items())
        options = shlex.join(what for what in places if not _signs_in(what))
        hint = f" What is none may travel, for this once, with --allow-secrets {options}."
        raise SecretError(
            f"what would be sent holds a secret: {found}. Take it out; if it has ever been sent or "
            f"committed, revoke it where it was issued.{hint if options else ''} Nothing has been "
            "written."
        )


def own_secrets(environment: Mapping[str, str] | None = None) -> dict[str, str]:
    """The credentials of this machine: the variable or file that each is of, by its value.

    Args:
        environment: By default that of this process.
    """
    environment = os.environ if environment is None else environment
    values = {v.strip(): k for k, v in environment.items() if _SECRET_NAMES.search(k)}
    for path in _credential_files(environment):
        values |= dict.fromkeys(_values_in(path), path.name)
    return {value: name for value, name in values.items() if _may_be_secret(value)}


def redact(text: str, own: Collection[str] | None = None) -> str:
    """Take everything secret out of a text: tokens, keys, and what signs an address.

    Args:
        text: To be shown.
        own: The secrets of this machine; by default `own_secrets()`, which reads files.

    >>> redact("PUT http://host/file?upload_id=123 failed")
    'PUT http://host/file?*** failed'
    """
    for secret in sorted(own_secrets() if own is None else own, key=len, reverse=True):
        text = text.replace(secret, "***")
    text = _AUTHORIZATION.sub(r"\1 ***", text)
    return _USER_OF_ADDRESS.sub("***@", _QUERY.sub("?***", text))


def _find(text: str, own: Mapping[str, str], detectors: list[Any]) -> Iterator[tuple[int, str]]:
    """Lines and what is in them. Almost always nothing is, which takes one look at the whole."""
    suspects = [detector for detector in detectors if any(detector.analyze_string(text))]
    forms = {what: form for what, form in _FURTHER.items() if re.search(form, text)}
    # One of several lines, as some keys are, begins in the first line that has its beginning.
    starts = {value.splitlines()[0]: name for value, name in own.items() if value in text}
    if not (suspects or forms or starts):
        return
    for number, line in enumerate(text.splitlines(), start=1):
        yield from ((number, name) for value, name in starts.items() if value in line)
        yield from ((number, what) for what, form in forms.items() if re.search(form, line))
        # Not `analyze_line`, which can be set to ask the issuer whether a token is valid.
        yield from ((number, d.secret_type) for d in suspects if any(d.analyze_string(line)))


def _create_detectors() -> list[Any]:
    """Those that know a token by its form; others guess, by entropy, and find checksums."""
    try:
        from detect_secrets.core.plugins.util import get_mapping_from_secret_type_to_class
        from detect_secrets.plugins.base import RegexBasedDetector
    except ModuleNotFoundError as error:
        raise ConfigError(_MISSING) from error
    known: dict[str, Any] = get_mapping_from_secret_type_to_class()
    by_form = [kind for name, kind in known.items() if name not in _GUESSES]
    return [kind() for kind in by_form if issubclass(kind, RegexBasedDetector)]


# Where Kaggle's client looks (kaggle 2.2.5, `authenticate`).
_KAGGLE_FILES = ("kaggle.json", "access_token", "access_token.txt", "credentials.json")


def _signs_in(name: str) -> bool:
    return name in _KAGGLE_FILES or name.startswith("KAGGLE_")


def _credential_files(environment: Mapping[str, str]) -> Iterator[Path]:
    home = Path(environment.get("HOME") or Path.home())
    configured = environment.get("KAGGLE_CONFIG_DIR")
    config = Path(environment.get("XDG_CONFIG_HOME") or home / ".config") / "kaggle"
    for folder in (home / ".kaggle", config, *([Path(configured)] if configured else [])):
        yield from (folder / name for name in _KAGGLE_FILES)
    token = environment.get("KAGGLE_API_TOKEN", "")
    if token and len(token) < 4096 and "\n" not in token:
        yield Path(token)


def _values_in(path: Path) -> list[str]:
    try:
        text = path.read_text(encoding="utf-8").strip()
    except (OSError, ValueError):
        return []  # not there, or not readable: then nothing can have been copied from it either
    try:
        content: Any = json.loads(text)
    except ValueError:
        return [text]
    if not isinstance(content, dict):
        return [text]
    return [v for k, v in content.items() if isinstance(v, str) and k not in ("username", "scopes")]


def _may_be_secret(value: str) -> bool:
    is_path = os.sep in value and Path(value).exists()
    return len(value) >= _SHORTEST and not is_path


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
        listed = "\n".join(f"    {name}" for name in self.changed[:_SHOWN_FILES])
        more = len(self.changed) - _SHOWN_FILES
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
