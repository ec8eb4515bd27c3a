"""What the README names; its commands are executed by `make test-docs`, with those of docs/."""

from documented import README, ROOT, executed


def test_the_documented_files_are_there() -> None:
    for path in ("LICENSE", "CHANGELOG.md", "docs/design.md", "input/README.md", "folds/README.md"):
        assert (ROOT / path).is_file(), path


def test_the_main_job_is_told_in_commands_that_are_executed() -> None:
    told = {command[0].split("/")[1] for command in executed(README)}
    assert told >= {"create_folds.py", "train_folds.py", "build_submission.py", "push_kernel.py"}
