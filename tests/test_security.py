"""Nothing that is read can run code: looked for in the source, because one place is enough."""

import ast
from functools import cache
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).resolve().parents[1]
FILES = sorted([*(ROOT / "src").rglob("*.py"), *(ROOT / "scripts").glob("*.py")])

# What opens a checkpoint: each has to be told, and by the word that can be looked for.
LOADERS = {"torch.load", "load_from_checkpoint", "load_state_dict_from_url", "trainer.fit"}
FORBIDDEN = {
    *("eval", "exec", "pickle.load", "pickle.loads", "pd.read_pickle", "pandas.read_pickle"),
    *("joblib.load", "yaml.load", "yaml.unsafe_load", "yaml.full_load", "os.system", "marshal.loads"),
}  # fmt: skip


class Call(NamedTuple):
    """One call in the source."""

    file: str
    line: int
    name: str
    options: dict[str | None, str]

    def __str__(self) -> str:
        return f"{self.file}:{self.line}: {self.name}"


@cache
def calls() -> tuple[Call, ...]:
    """All calls. Every test here looks at them, and the source is parsed once."""
    return tuple(
        Call(
            str(path.relative_to(ROOT)),
            node.lineno,
            ast.unparse(node.func),
            {keyword.arg: ast.unparse(keyword.value) for keyword in node.keywords},
        )
        for path in FILES
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.Call)
    )


def test_no_pickle_is_executed_from_a_checkpoint() -> None:
    loaders = [
        call
        for call in calls()
        if any(call.name == loader or call.name.endswith(f".{loader}") for loader in LOADERS)
    ]
    assert len(loaders) >= 4
    trusting = [str(call) for call in loaders if call.options.get("weights_only") != "True"]
    assert not trusting, "\n".join(trusting)


def test_nothing_that_runs_what_it_reads_is_called() -> None:
    running = [str(call) for call in calls() if call.name in FORBIDDEN]
    assert not running, "\n".join(running)


def test_no_array_is_read_with_its_objects_and_no_shell_is_started() -> None:
    trusting = [
        f"{call}: {option}"
        for call in calls()
        for option in ("allow_pickle", "shell")
        if option in call.options
    ]
    assert not trusting, "\n".join(trusting)


def test_every_photograph_is_opened_where_its_size_is_checked() -> None:
    opened = {call.file for call in calls() if call.name == "Image.open"}
    assert opened == {"src/melanoma/images/decoding.py"}
