"""The tables of the README and of all pages: each line has as many cells as the header."""

import re

import pytest

from documented import README, ROOT

PAGES = [README, ROOT / "kaggle_kernel" / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]

_FENCED = re.compile(r"^( *)(```|~~~).*?^\1\2", re.DOTALL | re.MULTILINE)
_TABLE = re.compile(r"^ *\|.*(?:\n.*\S.*)*", re.MULTILINE)
_RULER = re.compile(r" *\|(?: *:?-+:? *\|)+ *$")


def tables(text: str) -> list[list[str]]:
    """The lines of each table: from one that begins with a pipe to the next empty line."""
    outside = _FENCED.sub("", text)
    return [found.group().splitlines() for found in _TABLE.finditer(outside)]


def n_cells(line: str) -> int:
    """Count cells as GitHub and the site do: a pipe separates unless a backslash is before it.

    Backticks do not protect a pipe (GitHub Flavored Markdown, section 4.10).
    """
    inner = line.strip().removeprefix("|")
    return len(re.findall(r"(?<!\\)\|", inner if inner.endswith("|") else f"{inner}|"))


def faults(text: str) -> list[str]:
    """Each line that has other cells than its header, and each table without a ruler."""
    found = []
    for header, *rows in tables(text):
        if not rows or not _RULER.match(rows[0]):
            found.append(f"no line of dashes under {header}")
        found += [row for row in rows if n_cells(row) != n_cells(header)]
    return found


def test_every_line_of_a_table_has_the_cells_of_its_header() -> None:
    wrong = [
        f"{page.relative_to(ROOT)}: {fault}"
        for page in PAGES
        for fault in faults(page.read_text(encoding="utf-8"))
    ]
    assert not wrong, "\n".join(wrong)


def test_tables_are_found() -> None:
    """The test of all tables would pass if there were none."""
    assert len(tables(README.read_text(encoding="utf-8"))) >= 2
    folds = (ROOT / "docs" / "folds.md").read_text(encoding="utf-8")
    assert len(tables(folds)) >= 2


@pytest.mark.parametrize(
    ("row", "cells"),
    [("| a | b |", 2), ("| a | b", 2), (r"| a \| b | `c \| d` |", 2), ("| `a|b` | |", 3)],
)
def test_cells_are_counted_as_github_does(row: str, cells: int) -> None:
    assert n_cells(row) == cells


@pytest.mark.parametrize(
    ("text", "n_faults"),
    [
        ("| a | b |\n|---|:-:|\n| 1 | 2 |\n\nand | so on", 0),
        ("| a | b |\n|---|---|\n| 1 2 |\n", 1),
        ("| a | b |\n|---|---|\n1 2\n", 1),
        ("| a | b |\n|---|\n", 1),
        ("| a | b |\n| 1 | 2 |\n", 1),
        ("```text\n| a | b |\n| 1 |\n```\n", 0),
    ],
)
def test_a_broken_table_is_found(text: str, n_faults: int) -> None:
    assert len(faults(text)) == n_faults
