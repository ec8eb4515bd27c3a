import base64
import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from melanoma.kaggle.credentials import Credentials, find_credentials, redact
from melanoma.kaggle.failures import KaggleError

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


def test_without_any_it_is_said_how_to_get_them(home: Path) -> None:
    with pytest.raises(KaggleError) as raised:
        find_credentials()
    message = str(raised.value)
    assert message.startswith(f"No credentials for Kaggle in the environment or in {home}")
    for needed in ("kaggle.com/settings", "KAGGLE_API_TOKEN", "~/.kaggle/access_token"):
        assert needed in message


def test_they_are_looked_for_in_the_order_of_the_package(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    login = {"refresh_token": SECRET, "username": "by-login"}
    path = put(home / ".kaggle" / "credentials.json", login)
    assert find_credentials() == Credentials(str(path), "by-login")
    path = put(home / ".kaggle" / "kaggle.json", {"username": "by-file", "key": SECRET})
    assert find_credentials() == Credentials(str(path), "by-file")
    monkeypatch.setenv("KAGGLE_USERNAME", "by-variable")
    monkeypatch.setenv("KAGGLE_KEY", SECRET)
    assert find_credentials() == Credentials("KAGGLE_KEY", "by-variable")
    for name in ("access_token.txt", "access_token"):
        path = put(home / ".kaggle" / name, SECRET + "\n")
        assert find_credentials() == Credentials(str(path))
    monkeypatch.setenv("KAGGLE_API_TOKEN", SECRET)
    assert find_credentials() == Credentials("KAGGLE_API_TOKEN")
    monkeypatch.setenv("KAGGLE_KERNEL_RUN_TYPE", "Batch")
    monkeypatch.setenv("KAGGLE_DATA_PROXY_URL", "x")
    monkeypatch.setenv("KAGGLE_API_V1_TOKEN", str(put(home / "token", SECRET)))
    assert find_credentials() == Credentials("KAGGLE_API_V1_TOKEN")


def test_the_folder_of_kaggle_json_is_the_packages(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pair = {"username": "me", "key": SECRET}
    path = put(home / ".config" / "kaggle" / "kaggle.json", pair)
    assert find_credentials().source == str(path)
    path = put(home / "xdg" / "kaggle" / "kaggle.json", pair)
    monkeypatch.setenv("XDG_CONFIG_HOME", str(home / "xdg"))
    assert find_credentials().source == str(path)
    path = put(home / "elsewhere" / "kaggle.json", pair)
    monkeypatch.setenv("KAGGLE_CONFIG_DIR", str(home / "elsewhere"))
    assert find_credentials().source == str(path)


def test_the_token_may_be_in_a_file_that_the_variable_names(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("KAGGLE_API_TOKEN", str(put(home / "token", SECRET)))
    assert find_credentials() == Credentials("KAGGLE_API_TOKEN")
    assert redact(f"token {SECRET}") == "token ***"


def test_half_of_them_are_none(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    put(home / ".kaggle" / "kaggle.json", "no JSON")
    with pytest.raises(KaggleError, match=r"kaggle.json holds no username and key"):
        find_credentials()
    put(home / ".kaggle" / "credentials.json", {"username": "me"})
    monkeypatch.setenv("KAGGLE_USERNAME", "me")
    with pytest.raises(KaggleError, match=r"there is a user name, and no key"):
        find_credentials()
    put(home / ".kaggle" / "kaggle.json", {"key": SECRET})
    monkeypatch.setenv("KAGGLE_USERNAME", "")
    with pytest.raises(KaggleError, match=r"there is a key, and no user name"):
        find_credentials()
    monkeypatch.setenv("KAGGLE_API_TOKEN", str(put(home / "token", "")))
    put(home / ".kaggle" / "access_token", SECRET)
    with pytest.raises(KaggleError, match=r"KAGGLE_API_TOKEN names an empty file"):
        find_credentials()


def test_a_token_that_is_no_path_is_one(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KAGGLE_API_TOKEN", "K" * 5000)
    assert find_credentials() == Credentials("KAGGLE_API_TOKEN")
    assert redact("K" * 5000) == "***"


def test_all_that_is_secret_is_taken_out(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    kept = {"key": f"{SECRET}a"}
    put(home / ".kaggle" / "kaggle.json", kept)
    put(home / ".kaggle" / "access_token", f"{SECRET}b")
    login = {"refresh_token": f"{SECRET}c", "access_token": f"{SECRET}d"}
    put(home / ".kaggle" / "credentials.json", login)
    monkeypatch.setenv("KAGGLE_USERNAME", "melanie")
    monkeypatch.setenv("KAGGLE_KEY", f"{SECRET}e")
    monkeypatch.setenv("KAGGLE_API_TOKEN", f"{SECRET}f")
    basic = base64.b64encode(f"melanie:{SECRET}e".encode()).decode()
    shown = redact(" ".join([*(f"{SECRET}{letter}" for letter in "abcdef"), basic, "melanie"]))
    assert shown == "*** *** *** *** *** *** *** melanie"
    assert redact("Authorization: Bearer abc.def-ghi") == "Authorization: Bearer ***"
    assert "s1gn" not in redact("Max retries exceeded with url: /up?upload_id=s1gn (Caused by")


@given(text=st.text(st.characters(exclude_characters="?/")))
def test_what_is_not_secret_stays(text: str) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("HOME", "/nowhere")
        for name in VARIABLES:
            patch.delenv(name, raising=False)
        assert redact(text) == text or "Bearer" in text or "Basic" in text
