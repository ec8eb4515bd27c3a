"""A row of the table that the torture prints."""

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Row:
    """What a test was to show, and what it showed.

    Attributes:
        test: What was done.
        goal: What was to come of it.
        found: What came of it.
        met: Whether that is the goal; None where the test could not be made.
        details: A line on each thing that went wrong.
    """

    test: str
    goal: str
    found: str
    met: bool | None
    details: tuple[str, ...] = ()


def as_table(rows: Sequence[Row]) -> str:
    """The rows as Markdown, and below it what went wrong."""
    lines = ["| test | goal | found | |", "|---|---|---|---|"]
    marks = {True: "met", False: "MISSED", None: "not made"}
    lines += [f"| {row.test} | {row.goal} | {row.found} | {marks[row.met]} |" for row in rows]
    lines += [f"- {row.test}: {detail}" for row in rows for detail in row.details]
    return "\n".join(lines)
