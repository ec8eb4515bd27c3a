import os
import signal
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from melanoma.command_line import (
    UNREAD,
    Terminated,
    parse_bytes,
    script,
    sigterm_as_exit,
    with_underscores,
)
from melanoma.errors import ConfigError, MelanomaError

SOURCE = Path(__file__).resolve().parents[1] / "src"


@pytest.mark.parametrize(
    ("typed", "understood"),
    [
        (["--data-dir", "my-data"], ["--data_dir", "my-data"]),
        (["--data.image-size=3"], ["--data.image_size=3"]),
        (["--trainer.max_epochs", "-1"], ["--trainer.max_epochs", "-1"]),
        (["a-b", "-x-y"], ["a-b", "-x-y"]),
    ],
)
def test_hyphens_in_option_names_are_underscores(typed: list[str], understood: list[str]) -> None:
    assert with_underscores(typed) == understood


def test_a_user_error_is_one_message_and_exit_code_2(capsys: pytest.CaptureFixture[str]) -> None:
    @script
    def main(arguments: list[str]) -> None:
        raise ConfigError("--x 3: too large. Choose 2.")

    assert main([]) == 2
    assert capsys.readouterr().err == "error: --x 3: too large. Choose 2.\n"


def test_an_error_may_have_another_exit_code(capsys: pytest.CaptureFixture[str]) -> None:
    class RefusedError(MelanomaError):
        exit_code = 1

    @script
    def main(arguments: list[str]) -> None:
        raise RefusedError("refused")

    assert main([]) == 1
    assert capsys.readouterr().err == "error: refused\n"


def test_a_bug_keeps_its_traceback() -> None:
    @script
    def main(arguments: list[str]) -> None:
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        main([])


def test_interrupting_gives_the_exit_code_of_the_shell() -> None:
    @script
    def main(arguments: list[str]) -> None:
        raise KeyboardInterrupt

    assert main([]) == 130


def test_sigterm_is_an_exit_for_as_long_as_asked() -> None:
    before = signal.getsignal(signal.SIGTERM)
    with pytest.raises(Terminated), sigterm_as_exit():
        signal.raise_signal(signal.SIGTERM)
    assert signal.getsignal(signal.SIGTERM) == before


def test_sigterm_is_left_to_the_main_thread() -> None:
    def enter() -> None:
        with sigterm_as_exit():
            seen.append(signal.getsignal(signal.SIGTERM))

    seen: list[object] = []
    thread = threading.Thread(target=enter)
    thread.start()
    thread.join()
    assert seen == [signal.getsignal(signal.SIGTERM)]


@pytest.mark.parametrize("text", ["", "0", "GB", "-1GB", "19,5GB", "1 EB", "nan"])
def test_what_is_no_size_is_refused(text: str) -> None:
    with pytest.raises(ConfigError, match=r"--disk_budget .*: not understood. Give a size such as"):
        parse_bytes(text, "--disk_budget")


@pytest.mark.parametrize("code", ["print('line\\n' * 100_000)", "print('a line')"])
def test_a_reader_that_has_had_enough_is_no_error(code: str) -> None:
    text = (
        "import sys\nfrom melanoma.command_line import script\n"
        f"@script\ndef main(arguments):\n    sys.stdin.read()\n    {code}\nsys.exit(main([]))"
    )
    with subprocess.Popen(
        [sys.executable, "-c", text],
        env={**os.environ, "PYTHONPATH": str(SOURCE)},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdout.close()
        process.stdin.close()  # now it prints
        assert process.stderr.read() == ""
    assert process.returncode == UNREAD


def test_a_pipe_that_breaks_elsewhere_is_a_bug() -> None:
    @script
    def main(arguments: list[str]) -> None:
        raise BrokenPipeError("of a worker")

    with pytest.raises(BrokenPipeError, match="of a worker"):
        main([])


@pytest.mark.parametrize("console", ["ascii", "cp1252", "utf-8"])
def test_a_console_that_knows_few_characters_ends_nothing(console: str) -> None:
    code = """
import sys
from melanoma.command_line import script

@script
def main(arguments):
    print("größer \\u2502 \\U0001f600 \\udcff")
    print("größer \\u2502", file=sys.stderr)
    return 3

sys.exit(main([]))
"""
    environment = {**os.environ, "PYTHONPATH": str(SOURCE), "PYTHONIOENCODING": console}
    done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True)
    assert done.returncode == 3
    shown = "größer \u2502 \U0001f600 \udcff".encode(console, "backslashreplace")
    assert done.stdout.split() == shown.split()
