"""Which third-party packages the modules that a kernel runs import, found without importing any."""

import ast
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path


def imported_packages(root: Path, entries: Sequence[Path]) -> set[str]:
    """Top-level names of the third-party packages that scripts and what they import need.

    Third-party packages count wherever they are imported, in functions too, as slow ones often are.
    Our own modules count where they are imported at the top of a module: what a function imports
    of ours serves an option that a kernel does not use (`create_folds.py --find-duplicates`).

    Args:
        root: The folder with `src` and `scripts`.
        entries: What is run.
    """
    found: set[str] = set()
    seen: set[Path] = set()
    waiting = list(entries)
    while waiting:
        path = waiting.pop()
        if path in seen:
            continue
        seen.add(path)
        tree = ast.parse(path.read_text(encoding="utf-8"))
        found |= {name.split(".")[0] for name in _imported(tree, everywhere=True)}
        for name in _imported(tree, everywhere=False):
            waiting += _own_files(root / "src", name)
    return found - sys.stdlib_module_names - {"melanoma"}


def _imported(tree: ast.Module, everywhere: bool) -> Iterator[str]:
    """Dotted names, and for `from a import b` both `a` and `a.b`, which may be a module."""
    for node in _nodes(tree, everywhere):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield node.module
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def _nodes(tree: ast.AST, everywhere: bool) -> Iterator[ast.AST]:
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test):
            continue
        if everywhere or not isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            yield node
            yield from _nodes(node, everywhere)


def _own_files(source: Path, name: str) -> list[Path]:
    """The files of a module of ours: itself and the packages it is in; none for other names."""
    parts = name.split(".")
    if parts[0] != "melanoma":
        return []
    packages = [source.joinpath(*parts[:n], "__init__.py") for n in range(1, len(parts) + 1)]
    module = source.joinpath(*parts).with_suffix(".py")
    return [path for path in (*packages, module) if path.is_file()]
