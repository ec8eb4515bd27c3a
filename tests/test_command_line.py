import pytest

from melanoma.command_line import script, with_underscores
from melanoma.errors import ConfigError


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
