"""Nothing that is read can run code: looked for in the source, because one place is enough."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
FILES = sorted([*(ROOT / "src").rglob("*.py"), *(ROOT / "scripts").glob("*.py")])

# What opens a checkpoint: each has to be told, and by the word that can be looked for.
LOADERS = {"torch.load", "load_from_checkpoint", "load_state_dict_from_url", "trainer.fit"}
FORBIDDEN = {
    *("eval", "exec", "pickle.load", "pickle.loads", "pd.read_pickle", "pandas.read_pickle"),
    *("joblib.load", "yaml.load", "yaml.unsafe_load", "yaml.full_load", "os.system", "marshal.loads"),
}  # fmt: skip


def calls() -> Iterator[tuple[str, str, ast.Call]]:
    for path in FILES:
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call):
                yield str(path.relative_to(ROOT)), ast.unparse(node.func), node


def options(call: ast.Call) -> dict[str | None, str]:
    return {keyword.arg: ast.unparse(keyword.value) for keyword in call.keywords}


def test_no_pickle_is_executed_from_a_checkpoint() -> None:
    loaders = [
        (file, name, call)
        for file, name, call in calls()
        if any(name == loader or name.endswith(f".{loader}") for loader in LOADERS)
    ]
    assert len(loaders) >= 4
    for file, name, call in loaders:
        assert options(call).get("weights_only") == "True", f"{file}: {name}"


@pytest.mark.parametrize("forbidden", sorted(FORBIDDEN))
def test_nothing_that_runs_what_it_reads_is_called(forbidden: str) -> None:
    assert [file for file, name, _ in calls() if name == forbidden] == []


def test_no_array_is_read_with_its_objects_and_no_shell_is_started() -> None:
    for file, name, call in calls():
        assert "allow_pickle" not in options(call), f"{file}: {name}"
        assert "shell" not in options(call), f"{file}: {name}"


def test_every_photograph_is_opened_where_its_size_is_checked() -> None:
    opened = {file for file, name, _ in calls() if name == "Image.open"}
    assert opened == {"src/melanoma/images/decoding.py"}
