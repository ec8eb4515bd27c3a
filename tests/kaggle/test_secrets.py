import json
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from melanoma.errors import ConfigError
from melanoma.kaggle.bundle import source_files
from melanoma.kaggle.guard import SecretError, check_no_secrets, own_secrets, redact
from melanoma.kaggle.job import project_root

HEX = "0123456789abcdef"
# Made of parts, so that this file holds none itself.
TOKENS = {
    "AWS Access Key": "AKIA" + "Z7Q2WX5ER8TY1UI4",
    "GitHub Token": "ghp" + "_" + "aB3dE6gH9jK2mN5pQ8sT1vW4yZ7bC0eF3hI6",
    "GitHub fine-grained token": "github" + "_pat_" + 22 * "aB",
    "GitLab Token": "glpat" + "-" + "aB3dE6gH9jK2mN5pQ8sT",
    "Hugging Face token": "hf" + "_" + "aB3dE6gH9jK2mN5pQ8sT1vW4yZ7bC0eF3h",
    "Kaggle API key": '{"username": "me", "key": "' + 2 * HEX + '"}',
    "Kaggle API token": "KGAT" + "_" + 2 * HEX,
    "Anthropic API key": "sk-" + "ant-api03-" + 30 * "x",
    "Google API key": "AIza" + 35 * "b",
    "Weights & Biases key": "WANDB_API_KEY=" + 2 * HEX + HEX[:8],
    "Private Key": "-----BEGIN " + "RSA PRIVATE KEY-----",
    "PyPI Token": "pypi-" + "AgEIcHlwaS5vcmc" + 80 * "a",
    "Slack Token": "xoxb" + "-123456789012-123456789012-" + "aB3dE6gH9jK2mN5pQ8sT1vW4",
    "Basic Auth Credentials": "https://user:" + "pa55word" + "@example.org",
}


@pytest.mark.parametrize("kind", sorted(TOKENS))
def test_a_token_is_found_and_never_shown(kind: str) -> None:
    files = {"a.py": b"x = 1\n", "configs/b.yaml": f"# one\n\nx: {TOKENS[kind]}\n".encode()}
    with pytest.raises(SecretError, match=r"\(.*configs/b.yaml, line 3.*\). Take it out") as caught:
        check_no_secrets(files, {})
    assert kind in str(caught.value)
    assert TOKENS[kind] not in str(caught.value)


def test_our_own_source_has_none() -> None:
    root = project_root()
    recipes = {path.name: path.read_bytes() for path in (root / "configs").glob("*.yaml")}
    check_no_secrets({**source_files(root), **recipes}, {})


@given(st.binary(max_size=300))
def test_any_bytes_can_be_searched(content: bytes) -> None:
    check_no_secrets({"folds.csv": content}, {"not-in-there-" + 300 * "x": "a value"})


@pytest.mark.parametrize(
    "name", ["KAGGLE_KEY", "KAGGLE_API_TOKEN", "MY_SECRET", "db_password", "WANDB_API_KEY"]
)
def test_values_of_variables_are_found(name: str, tmp_path: Path) -> None:
    value = "horse-battery"
    own = own_secrets({"HOME": str(tmp_path), name: value, "EDITOR": "emacs-nox"})
    assert own == {value: name}
    with pytest.raises(SecretError, match=rf"secret: {name} \(job.json, line 2\)") as caught:
        check_no_secrets({"job.json": f"{{\n'x': '{value}'".encode()}, own)
    assert value not in str(caught.value)


@pytest.mark.parametrize("value", ["short", "", "true", "/"])
def test_what_is_no_secret_is_not_looked_for(value: str, tmp_path: Path) -> None:
    assert own_secrets({"HOME": str(tmp_path), "X_TOKEN": value}) == {}


def test_a_path_is_no_secret(tmp_path: Path) -> None:
    (tmp_path / "token-file").touch()
    assert own_secrets({"HOME": str(tmp_path), "X_TOKEN": str(tmp_path / "token-file")}) == {}


@pytest.mark.parametrize("folder", [".kaggle", ".config/kaggle", "elsewhere"])
def test_values_of_credential_files_are_found(folder: str, tmp_path: Path) -> None:
    (tmp_path / folder).mkdir(parents=True)
    key = {"username": "somebody-known", "key": "kaggle-key-value"}
    (tmp_path / folder / "kaggle.json").write_text(json.dumps(key))
    (tmp_path / folder / "access_token").write_text("access-token-value\n")
    environment = {"HOME": str(tmp_path), "KAGGLE_CONFIG_DIR": str(tmp_path / "elsewhere")}
    assert own_secrets(environment) == {
        "kaggle-key-value": "kaggle.json",
        "access-token-value": "access_token",
    }


def test_a_token_in_a_file_that_a_variable_names_is_found(tmp_path: Path) -> None:
    (tmp_path / "mine").write_text("access-token-value")
    environment = {"HOME": str(tmp_path), "KAGGLE_API_TOKEN": str(tmp_path / "mine")}
    assert own_secrets(environment) == {"access-token-value": "mine"}


@pytest.mark.parametrize("content", ["[1, 2, 3, 4]", '"a-plain-text"', ""])
def test_a_credential_file_of_another_form_is_taken_whole(content: str, tmp_path: Path) -> None:
    (tmp_path / ".kaggle").mkdir()
    (tmp_path / ".kaggle" / "access_token").write_text(content)
    assert list(own_secrets({"HOME": str(tmp_path)})) == [content] * bool(content)


def test_a_key_of_several_lines_is_found() -> None:
    with pytest.raises(SecretError, match=r"a key \(a.txt, line 2\)"):
        check_no_secrets(
            {"a.txt": b"x\nfirst part\nsecond part\n"}, {"first part\nsecond": "a key"}
        )


def test_a_find_that_is_none_may_travel_by_its_name() -> None:
    files = {f"{number}.py": b"password = 'password'\n" for number in range(1_102)}
    files["0.py"] += TOKENS["GitHub Token"].encode()
    own = {"password": "DB_PASSWORD"}
    with pytest.raises(SecretError) as caught:
        check_no_secrets(files, own)
    assert "DB_PASSWORD (0.py, line 1, 1.py, line 1" in str(caught.value)
    assert "... (1102 in all))" in str(caught.value)
    assert "this once, with --allow-secrets DB_PASSWORD 'GitHub Token'." in str(caught.value)
    with pytest.raises(SecretError, match=r"secret: GitHub Token \(0.py, line 2\). Take"):
        check_no_secrets(files, own, ["DB_PASSWORD"])
    check_no_secrets(files, own, ["DB_PASSWORD", "GitHub Token"])


@pytest.mark.parametrize("name", ["kaggle.json", "access_token", "KAGGLE_KEY"])
def test_what_signs_in_at_kaggle_never_travels(name: str) -> None:
    with pytest.raises(SecretError) as caught:
        check_no_secrets({"a": b"kaggle-key-value"}, {"kaggle-key-value": name}, [name])
    assert "--allow-secrets" not in str(caught.value)


def test_without_the_library_nothing_is_sent(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "detect_secrets.core.plugins.util", None)
    with pytest.raises(ConfigError, match=r"detect-secrets is not installed.*requirements-kaggle"):
        check_no_secrets({})


VARIABLES = (
    *("KAGGLE_API_TOKEN", "KAGGLE_USERNAME", "KAGGLE_KEY", "KAGGLE_CONFIG_DIR", "XDG_CONFIG_HOME"),
    *("KAGGLE_API_V1_TOKEN", "KAGGLE_KERNEL_RUN_TYPE", "KAGGLE_DATA_PROXY_URL", "KAGGLE_TOKEN"),
)
SECRET = "5ec7e7-0123456789"  # noqa: S105


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for name in VARIABLES:
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    return tmp_path


def put(path: Path, content: object) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    text = content if isinstance(content, str) else json.dumps(content)
    path.write_text(text, encoding="utf-8")
    return path


def test_all_that_is_secret_is_taken_out(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    kept = {"key": f"{SECRET}a"}
    put(home / ".kaggle" / "kaggle.json", kept)
    put(home / ".kaggle" / "access_token", f"{SECRET}b")
    login = {"refresh_token": f"{SECRET}c", "access_token": f"{SECRET}d"}
    put(home / ".kaggle" / "credentials.json", login)
    monkeypatch.setenv("KAGGLE_USERNAME", "melanie")
    monkeypatch.setenv("KAGGLE_KEY", f"{SECRET}e")
    monkeypatch.setenv("KAGGLE_API_TOKEN", f"{SECRET}f")
    shown = redact(" ".join([*(f"{SECRET}{letter}" for letter in "abcdef"), "melanie"]))
    assert shown == "*** *** *** *** *** *** melanie"
    assert redact("Authorization: Bearer abc.def-ghi") == "Authorization: Bearer ***"
    assert "s1gn" not in redact("Max retries exceeded with url: /up?upload_id=s1gn (Caused by")


@given(text=st.text(st.characters(exclude_characters="?/")))
def test_what_is_not_secret_stays(text: str) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("HOME", "/nowhere")
        for name in VARIABLES:
            patch.delenv(name, raising=False)
        assert redact(text) == text or "Bearer" in text or "Basic" in text
