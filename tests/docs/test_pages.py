"""What the pages say, without executing it: options exist, nothing is left out silently."""

import importlib.util
import re
from pathlib import Path
from typing import Any

import pytest

from documented import README, ROOT, Block, blocks, pages
from melanoma.command_line import with_underscores
from melanoma.kaggle.arguments import parse_call
from melanoma.training.config import config_parser

# Why a block with a command of ours is not executed (tests/docs/test_commands.py executes all others).
REASONS = {
    "needs a TPU": r"configs/tpu\.yaml",
    "needs GPUs, or several devices": r"--trainer\.devices|--trainer\.accelerator gpu|torchrun|srun",
    "needs a cluster": r"--launcher ray|ray start",
    "needs an object store": r"s3://",
    "talks to Kaggle": r"push_kernel\.py(?!.*--dry-run)",
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


def name_of(block: Block) -> str:
    return f"{block.page}: {block.lines()[0][:40]}"


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


@pytest.mark.parametrize("block", WITH_COMMANDS, ids=name_of)
def test_what_is_not_executed_has_a_reason(block: Block) -> None:
    if block.language != "bash":
        assert [why for why, form in REASONS.items() if re.search(form, block.text)], (
            f"{block.page}: make it bash, which is executed, or add a reason:\n{block.text}"
        )


@pytest.mark.parametrize("page", pages(), ids=lambda page: str(page.relative_to(ROOT)))
def test_blocks_have_a_language_and_commands_a_block(page: Path) -> None:
    for block in blocks(page):
        assert block.language in LANGUAGES, block
        if block.language == "bash":
            for line in block.lines():
                assert re.match(rf"(python scripts/\w+\.py |{OTHER_COMMANDS})", line), line
    unfenced = re.sub(r"^```.*?^```", "", page.read_text(encoding="utf-8"), flags=re.S | re.M)
    assert not re.findall(r"^    .*python .*$", unfenced, re.MULTILINE), "fence this command"


@pytest.mark.parametrize("block", WITH_COMMANDS, ids=name_of)
def test_every_option_exists(block: Block, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)
    for command in block.commands():
        arguments = with_underscores([word for word in command[1:] if word != "..."])
        if command[0].endswith("push_kernel.py"):
            parse_call(arguments, "")
            continue
        parser = load(ROOT / command[0]).parser()
        if command[0].endswith(("show_batch.py", "sweep.py")):
            _, rest = parser.parse_known_args(arguments)
            config_parser().parse_args(rest)
        else:
            parser.parse_args(arguments)


@pytest.mark.parametrize("page", ALL_PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_targets_of_make_exist(page: Path) -> None:
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    targets = set(re.findall(r"^([a-z0-9-]+):", makefile, re.MULTILINE))
    text = page.read_text(encoding="utf-8")
    named = set(re.findall(r"(?:`|^)make ([a-z0-9-]+)", text, re.MULTILINE))
    assert named <= targets | {"help"}, named - targets


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
