"""Nothing secret may travel: what is packed is searched for tokens, and for this machine's own."""

import importlib
import json
import os
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from melanoma.errors import ConfigError, MelanomaError, name_some

if TYPE_CHECKING:
    from detect_secrets.plugins.base import BasePlugin

# Of detect-secrets those that know a token by its form. Those that guess (by entropy, by the words
# around it) find checksums and names of variables.
_PLUGINS = {
    "aws": "AWSKeyDetector",
    "azure_storage_key": "AzureStorageKeyDetector",
    "basic_auth": "BasicAuthDetector",
    "discord": "DiscordBotTokenDetector",
    "github_token": "GitHubTokenDetector",
    "gitlab_token": "GitLabTokenDetector",
    "jwt": "JwtTokenDetector",
    "mailchimp": "MailchimpDetector",
    "npm": "NpmDetector",
    "openai": "OpenAIDetector",
    "private_key": "PrivateKeyDetector",
    "pypi_token": "PypiTokenDetector",
    "sendgrid": "SendGridDetector",
    "slack": "SlackDetector",
    "square_oauth": "SquareOAuthDetector",
    "stripe": "StripeDetector",
    "telegram_token": "TelegramBotTokenDetector",
    "twilio": "TwilioKeyDetector",
}
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
# A shorter one is a word that may be anywhere.
_SHORTEST = 8
_MISSING = (
    "detect-secrets is not installed, which looks for secrets in what is sent. Run pip install -r "
    "requirements-kaggle.txt."
)


class SecretError(MelanomaError):
    """Something secret would have been published."""


def check_no_secrets(files: Mapping[str, bytes], own: Mapping[str, str] | None = None) -> None:
    """Check that no file holds a token, a key or a password.

    Args:
        files: By their names.
        own: The secrets of this machine with what each is called; by default `own_secrets()`.

    Raises:
        SecretError: Naming files and lines, never the secret.
        ConfigError: If detect-secrets is not installed.
    """
    known = own_secrets() if own is None else own
    plugins = _create_plugins()
    found = [
        f"{name}, line {number}: {what}"
        for name, content in sorted(files.items())
        for number, what in _find(content.decode("utf-8", "replace"), known, plugins)
    ]
    if found:
        raise SecretError(
            f"what would be sent holds a secret ({name_some(found)}). Take it out; if it has ever "
            "been sent or committed, revoke it where it was issued. Nothing has been written."
        )


def own_secrets(environment: Mapping[str, str] | None = None) -> dict[str, str]:
    """The credentials of this machine: what each is called, by its value.

    Args:
        environment: By default that of this process.
    """
    environment = os.environ if environment is None else environment
    values = {
        value.strip(): f"the value of {name}"
        for name, value in environment.items()
        if _SECRET_NAMES.search(name)
    }
    for path in _credential_files(environment):
        values |= dict.fromkeys(_values_in(path), f"a value of {path.name}")
    return {value: what for value, what in values.items() if _may_be_secret(value)}


def _find(
    text: str, own: Mapping[str, str], plugins: "list[BasePlugin]"
) -> Iterator[tuple[int, str]]:
    """Lines and what is in them. Almost always nothing is, which takes one look at the whole."""
    suspects = [plugin for plugin in plugins if any(plugin.analyze_string(text))]
    forms = {what: form for what, form in _FURTHER.items() if re.search(form, text)}
    values = {value: what for value, what in own.items() if value in text}
    # One of several lines, as some keys are, begins in the first line that has its beginning.
    starts = {value.splitlines()[0]: what for value, what in values.items()}
    if not (suspects or forms or values):
        return
    for number, line in enumerate(text.splitlines(), start=1):
        yield from ((number, what) for value, what in starts.items() if value in line)
        yield from ((number, what) for what, form in forms.items() if re.search(form, line))
        # Not `analyze_line`, which can be set to ask the issuer whether a token is valid.
        yield from ((number, p.secret_type) for p in suspects if any(p.analyze_string(line)))


def _create_plugins() -> "list[BasePlugin]":
    try:
        modules = {
            name: importlib.import_module(f"detect_secrets.plugins.{name}") for name in _PLUGINS
        }
    except ModuleNotFoundError as error:
        raise ConfigError(_MISSING) from error
    return [getattr(modules[name], plugin)() for name, plugin in _PLUGINS.items()]


def _credential_files(environment: Mapping[str, str]) -> Iterator[Path]:
    """Where Kaggle's client looks (kaggle 2.2.5, `authenticate`)."""
    home = Path(environment.get("HOME") or Path.home())
    configured = environment.get("KAGGLE_CONFIG_DIR")
    config = Path(environment.get("XDG_CONFIG_HOME") or home / ".config") / "kaggle"
    folders = [home / ".kaggle", config, *([Path(configured)] if configured else [])]
    for folder in folders:
        for name in ("kaggle.json", "access_token", "access_token.txt", "credentials.json"):
            yield folder / name
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
