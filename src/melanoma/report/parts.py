"""What a report is made of: sections of charts, tables and lines, before they become a page."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from melanoma.ensemble.table import align_columns


@dataclass(frozen=True)
class Table:
    """A table of text; the first column names its rows.

    Attributes:
        caption: What it shows.
        head: A title per column.
        rows: A cell per column.
    """

    caption: str
    head: Sequence[str]
    rows: Sequence[Sequence[str]]

    def as_text(self) -> str:
        """For the terminal."""
        return align_columns([self.head, *self.rows])


@dataclass(frozen=True)
class Chart:
    """A chart, and what it says for who cannot see it.

    Attributes:
        name: Unique in the page, of letters, digits and hyphens.
        title: Above it.
        description: What there is to see, in a sentence.
        figure: Of plotly, as JSON; colours are names of the page's own, such as var(--series-1).
        table: The same in numbers; None where another table of the section has them.
    """

    name: str
    title: str
    description: str
    figure: dict[str, Any]
    table: Table | None = None


@dataclass(frozen=True)
class Section:
    """A part of the report.

    Attributes:
        name: Unique in the page; what links point to.
        title: Its heading.
        lead: What it answers, in a sentence or two.
        notes: What is missing, or has to be known; a line each.
        charts: Side by side where there is room.
        tables: Below them.
    """

    name: str
    title: str
    lead: str
    notes: Sequence[str] = ()
    charts: Sequence[Chart] = ()
    tables: Sequence[Table] = ()


@dataclass(frozen=True)
class Finding:
    """Something that stands out.

    Attributes:
        text: What, with its numbers, and what to do about it.
        section: The name of the section that shows it.
        is_warning: Whether the score may be wrong, or something is missing.
    """

    text: str
    section: str
    is_warning: bool = False


@dataclass
class Missing:
    """What could not be had, by the section that would have shown it."""

    notes: dict[str, list[str]] = field(default_factory=dict)

    def add(self, section: str, note: str) -> None:
        """Note it once."""
        notes = self.notes.setdefault(section, [])
        if note not in notes:
            notes.append(note)

    def of(self, section: str) -> list[str]:
        """The notes of a section."""
        return self.notes.get(section, [])
