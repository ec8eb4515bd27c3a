"""What the pages say, without executing it: options exist, nothing is left out silently."""

import contextlib
import importlib.util
import io
import re
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from documented import README, ROOT, blocks, pages
from melanoma.command_line import with_underscores
from melanoma.errors import MelanomaError
from melanoma.kaggle.cli import parse_call
from melanoma.training.config import config_parser

# Why a block with a command of ours is not executed (tests/docs/test_commands.py executes all others).
REASONS = {
    "needs a TPU": r"configs/tpu\.yaml",
    "needs GPUs, or several devices": r"--trainer\.devices|--trainer\.accelerator gpu|torchrun|srun",
    "needs a cluster": r"--launcher ray|ray start",
    "needs an object store": r"s3://",
    "is not a whole command": r"\.\.\.",
}
# What else a reader is asked to type.
OTHER_COMMANDS = (
    r"make |kaggle |apt-get |source |export |python -m pip |PYTHONPATH=src python -m melanoma"
)
LANGUAGES = {"", "bash", "text", "python", "yaml", "json", "{toctree}"}

ALL_PAGES = [*pages(), *sorted((ROOT / "docs" / "reference").glob("*.md"))]
BLOCKS = [block for page in pages() for block in blocks(page)]
WITH_COMMANDS = [block for block in BLOCKS if block.commands()]


def load(path: Path) -> Any:
    specification = importlib.util.spec_from_file_location(f"documented_{path.stem}", path)
    assert specification is not None
    assert specification.loader is not None
    module = importlib.util.module_from_spec(specification)
    specification.loader.exec_module(module)
    return module


def test_the_reference_is_that_of_the_code() -> None:
    written = load(ROOT / "docs" / "make_reference.py").pages()
    there = {
        page.name: page.read_text(encoding="utf-8")
        for page in (ROOT / "docs" / "reference").glob("*.md")
    }
    assert there == written, "run: make reference"


def test_the_reference_has_every_script_and_what_it_understands() -> None:
    for script in (ROOT / "scripts").glob("*.py"):
        page = (ROOT / "docs" / "reference" / f"{script.stem}.md").read_text(encoding="utf-8")
        assert "| option | type | default | meaning |" in page, script
    train = (ROOT / "docs" / "reference" / "train_folds.md").read_text(encoding="utf-8")
    for option in vars(config_parser().get_defaults().as_flat()):
        if option not in ("config", "deadline"):
            name = option if "." in option else option.replace("_", "-")
            assert f"| `--{name}` |" in train, option


def test_pages_and_their_commands_are_found() -> None:
    """The tests of all pages and of all blocks would pass if there were none."""
    assert {README, ROOT / "docs" / "reference" / "train_folds.md"} < set(ALL_PAGES)
    assert README.name in {block.page for block in WITH_COMMANDS}


def test_what_is_not_executed_has_a_reason() -> None:
    unexplained = [
        f"{block.page}: make it bash, which is executed, or add a reason:\n{block.text}"
        for block in WITH_COMMANDS
        if block.language != "bash"
        and not any(re.search(form, block.text) for form in REASONS.values())
    ]
    assert not unexplained, "\n".join(unexplained)


def test_every_block_has_a_language_that_is_known() -> None:
    unknown = [
        f"{block.page}: {block.language}:\n{block.text}"
        for block in BLOCKS
        if block.language not in LANGUAGES
    ]
    assert not unknown, "\n".join(unknown)


def test_a_block_of_bash_holds_commands_alone() -> None:
    others = [
        f"{block.page}: {line}"
        for block in BLOCKS
        if block.language == "bash"
        for line in block.lines()
        if not re.match(rf"(python scripts/\w+\.py |{OTHER_COMMANDS})", line)
    ]
    assert not others, "\n".join(others)


def test_every_command_is_in_a_block() -> None:
    unfenced = []
    for page in pages():
        text = re.sub(r"^```.*?^```", "", page.read_text(encoding="utf-8"), flags=re.S | re.M)
        found = re.findall(r"^    .*python .*$", text, re.MULTILINE)
        unfenced += [f"{page.relative_to(ROOT)}: fence this command: {line}" for line in found]
    assert not unfenced, "\n".join(unfenced)


def test_every_option_exists(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)
    refused = [
        f"{block.page}: {' '.join(command)}\n{message}"
        for block in WITH_COMMANDS
        for command in block.commands()
        if (message := why_refused(command))
    ]
    assert not refused, "\n".join(refused)


def why_refused(command: list[str]) -> str:
    """What a script says of a command that it cannot parse; nothing where it can."""
    said = io.StringIO()
    try:
        with contextlib.redirect_stderr(said):
            parse(command)
    except (SystemExit, MelanomaError, OSError) as error:
        # The list of all options comes before the error.
        return said.getvalue().partition("error: ")[2].strip() or repr(error)
    return ""


def parse(command: list[str]) -> None:
    arguments = with_underscores([word for word in command[1:] if word != "..."])
    if command[0].endswith("push_kernel.py"):
        parse_call(arguments, "")
    elif command[0].endswith(("show_batch.py", "sweep.py")):
        _, rest = parser_of(command[0]).parse_known_args(arguments)
        parser_of_configs().parse_args(rest)
    else:
        parser_of(command[0]).parse_args(arguments)


@cache
def parser_of(script: str) -> Any:
    """A parser serves all commands of its script: to make one takes longer than to parse."""
    return load(ROOT / script).parser()


@cache
def parser_of_configs() -> Any:
    return config_parser()


def test_targets_of_make_exist() -> None:
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    targets = set(re.findall(r"^([a-z0-9-]+):", makefile, re.MULTILINE))
    assert "test" in targets
    missing = []
    for page in ALL_PAGES:
        text = page.read_text(encoding="utf-8")
        named = set(re.findall(r"(?:`|^)make ([a-z0-9-]+)", text, re.MULTILINE))
        unknown = sorted(named - targets - {"help"})
        missing += [f"{page.relative_to(ROOT)}: make {name}" for name in unknown]
    assert not missing, "\n".join(missing)


def test_every_page_is_in_the_navigation() -> None:
    index = (ROOT / "docs" / "index.md").read_text(encoding="utf-8")
    listed = {
        line
        for trees in re.findall(r"```\{toctree\}\n(.*?)```", index, re.DOTALL)
        for line in trees.splitlines()
    }
    there = {page.stem for page in (ROOT / "docs").glob("*.md")} - {"index"}
    assert there <= listed, f"docs/index.md does not list {there - listed}"
    assert {"reference/index"} <= listed


def test_the_readme_leads_to_the_documentation() -> None:
    assert "](docs/index.md)" in README.read_text(encoding="utf-8")
