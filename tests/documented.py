"""What the README and the pages of docs/ tell a reader to type."""

import re
import shlex
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
README = ROOT / "README.md"
FIRST = [README, ROOT / "docs" / "tutorial.md", ROOT / "docs" / "how_do_i.md"]

_FENCED = re.compile(r"^```([^\n]*)\n(.*?)^```", re.DOTALL | re.MULTILINE)
_SCRIPT = re.compile(r"scripts/(\w+)\.py$")

# What makes a recipe for a GPU run here in seconds; what is done stays the same.
TINY = [
    *("--model.backbone", "test_resnet", "--data.image_size", "16"),
    *("--data.num_workers", "0", "--trainer.max_epochs", "1"),
    *("--trainer.precision", "32-true", "--trainer.accelerator", "cpu"),
]


@dataclass(frozen=True)
class Block:
    """What stands between two fences.

    Attributes:
        page: Where, from the root.
        language: As it is named; bash is what is executed.
        text: Its lines, those that go on in the next joined.
    """

    page: str
    language: str
    text: str

    def lines(self) -> list[str]:
        """Its commands, without what is commented out."""
        stripped = (line.split(" #")[0].strip() for line in self.text.splitlines())
        return [line for line in stripped if line and not line.startswith("#")]

    def commands(self) -> list[list[str]]:
        """The words of each command of a script, from the script's path on."""
        found = []
        for line in self.lines():
            if re.search(r"(?:python|torchrun).* scripts/\w+\.py", line):
                words = shlex.split(line)
                found.append(words[next(n for n, w in enumerate(words) if _SCRIPT.search(w)) :])
        return found


def pages() -> list[Path]:
    """In an order in which their commands can be executed one after the other."""
    others = sorted((ROOT / "docs").glob("*.md"))
    return [*FIRST, *(p for p in others if p not in FIRST), ROOT / "kaggle_kernel" / "README.md"]


def blocks(page: Path) -> list[Block]:
    """All that is fenced in a page."""
    text = page.read_text(encoding="utf-8")
    name = str(page.relative_to(ROOT))
    return [
        Block(name, language, content.replace("\\\n", " "))
        for language, content in _FENCED.findall(text)
    ]


def executed(page: Path) -> list[list[str]]:
    """The commands of a page that are executed, without `python`."""
    return [
        command
        for block in blocks(page)
        if block.language == "bash"
        for command in block.commands()
    ]


def made_tiny(command: list[str]) -> list[str]:
    """A command with what makes it quick; settings on the command line win by being last."""
    script = Path(command[0]).stem
    if script == "make_sample":
        return [*command, "--n_train", "160", "--n_test", "10", "--image_size_px", "32"]
    if script in ("train_folds", "sweep"):
        own_weights = any(word.startswith("runs/") and ".ckpt" in word for word in command)
        batch = [] if "--data.batch_size" in command else ["--data.batch_size", "8"]
        weights = [] if own_weights else ["--model.weights", "none"]
        return [*command, *TINY, *batch, *weights]
    if script == "push_kernel" and command[1] == "wheels":  # published weights are not to be had
        return command[: command.index("--config")]
    return command
